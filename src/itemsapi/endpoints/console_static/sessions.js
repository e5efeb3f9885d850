/** The list of the user's sessions, and buttons to end them. */
import { call, rows } from "./api.js";
import { askConfirmation, toast } from "./dialog.js";
import { badge, h } from "./dom.js";
import { withErrorNotice } from "./actions.js";
import { t, timeElement } from "./i18n.js";

/** @param {any} session @param {() => void} reload */
const card = (session, reload) => {
  const device = session.device || t("sessions.unnamed");
  const end = async () => {
    if (!(await askConfirmation(t("sessions.endAsk", { device }), t("sessions.end")))) return;
    await call("DELETE", `/auth/sessions/${session.id}`);
    toast(t("sessions.ended"));
    reload();
  };
  const button = h("button", { "aria-label": t("sessions.endOf", { device }), onclick: withErrorNotice(end) }, t("sessions.end"));
  const facts = [
    [t("sessions.created"), timeElement(session.created_at)],
    [t("sessions.used"), timeElement(session.last_used_at)],
    [t("sessions.address"), session.address ?? "–"],
  ];
  return h(
    "li",
    { class: session.current ? "row current" : "row" },
    h("div", { class: "grow" }, h("h2", {}, device, " ", session.current && badge(t("sessions.current"), "on")), list(facts)),
    !session.current && button,
  );
};

/** @param {any[][]} facts */
const list = (facts) =>
  h("dl", { class: "facts" }, ...facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));

/** @param {import("./main.js").Request} request @returns {Promise<import("./main.js").Page>} */
export const show = async ({ reload }) => {
  const { data } = await call("GET", "/auth/sessions");
  const all = rows(data).sort((one, other) => Number(other.current) - Number(one.current));
  const endOthers = async () => {
    if (!(await askConfirmation(t("sessions.othersAsk"), t("sessions.endOthers")))) return;
    await call("DELETE", "/auth/sessions", { query: { except: "current" } });
    toast(t("sessions.othersEnded"));
    reload();
  };
  const others = all.length > 1 && h("button", { class: "danger", onclick: withErrorNotice(endOthers) }, t("sessions.endOthers"));
  const top = h("div", { class: "top" }, h("p", { class: "lead" }, t("sessions.lead")), others);
  return { title: t("sessions.title"), nodes: [top, h("ul", { class: "rows" }, ...all.map((each) => card(each, reload)))] };
};
