/** Lists of sessions, and buttons to end them. */
import { call, rows } from "./api.js";
import { askConfirmation, toast } from "./dialog.js";
import { badge, h } from "./dom.js";
import { withErrorNotice } from "./actions.js";
import { timeElement } from "./formats.js";
import { t } from "./i18n.js";

const OWN = "/auth/sessions";

/** @param {any} session @param {string} list the path of the list @param {() => void} reload */
const card = (session, list, reload) => {
  const device = session.device || t("sessions.unnamed");
  const end = async () => {
    if (!(await askConfirmation(t("sessions.endAsk", { device }), t("sessions.end")))) return;
    await call("DELETE", `${list}/${session.id}`);
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
    h("div", { class: "grow" }, h("h2", {}, device, " ", session.current && badge(t("sessions.current"), "on")), factList(facts)),
    !session.current && button,
  );
};

/** @param {any[][]} facts */
const factList = (facts) =>
  h("dl", { class: "facts" }, ...facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));

/**
 * Make the cards of sessions, the current one first.
 * @param {any[]} sessions @param {string} list the path of the list @param {() => void} reload called after the end of a session
 */
export const sessionCards = (sessions, list, reload) => {
  const sorted = [...sessions].sort((one, other) => Number(other.current) - Number(one.current));
  return h("ul", { class: "rows" }, ...sorted.map((each) => card(each, list, reload)));
};

/** @param {import("./main.js").Request} request @returns {Promise<import("./main.js").Page>} */
export const show = async ({ reload }) => {
  const { data } = await call("GET", OWN);
  const all = rows(data);
  const endOthers = async () => {
    if (!(await askConfirmation(t("sessions.othersAsk"), t("sessions.endOthers")))) return;
    await call("DELETE", OWN, { query: { except: "current" } });
    toast(t("sessions.othersEnded"));
    reload();
  };
  const others = all.length > 1 && h("button", { class: "danger", onclick: withErrorNotice(endOthers) }, t("sessions.endOthers"));
  const top = h("div", { class: "top" }, h("p", { class: "lead" }, t("sessions.lead")), others);
  return { title: t("sessions.title"), nodes: [top, sessionCards(all, OWN, reload)] };
};
