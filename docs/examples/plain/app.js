import { AuthError, createAuth } from "/client.js";

const auth = createAuth(); // the API has the origin of this page
const [form, page, name, list, signOut, message] = ["form", "div", "b", "ul", "div button", "[role=alert]"].map(
  (selector) => document.querySelector(selector),
);
const showError = (error) => (message.textContent = error ? error.message : "");

const loadItems = async () => {
  const response = await auth.fetch("/items?limit=20");
  const body = await response.json();
  if (!response.ok) throw new AuthError(response.status, body);
  return body.items.map(({ name, price, currency }) => {
    const row = document.createElement("li");
    row.textContent = `${name}: ${price} ${currency}`;
    return row;
  });
};

const render = async () => {
  const snapshot = auth.getSnapshot();
  const { status, reason, user } = snapshot;
  form.hidden = status !== "signed-out";
  page.hidden = status !== "signed-in";
  name.textContent = user?.username ?? "";
  list.replaceChildren(); // perhaps another user signed in, in another tab
  message.textContent = status === "unknown" && reason ? "The service is away. This page tries again." : "";
  if (status !== "signed-in") return;
  const rows = await loadItems().catch((error) => (showError(error), []));
  if (auth.getSnapshot() === snapshot) list.replaceChildren(...rows);
};

form.addEventListener("submit", (event) => {
  event.preventDefault();
  auth.login(Object.fromEntries(new FormData(form))).then(() => form.reset(), showError);
});
signOut.addEventListener("click", () => auth.logout().catch(showError));
auth.subscribe(render);
auth.restore().catch(() => {}); // the snapshot says why, and the client tries again
