import { createAuth } from "/client.js";

const auth = createAuth(); // the API has the origin of this page
const [form, list, signOut, message] = ["form", "ul", "#leave", "[role=alert]"].map((selector) =>
  document.querySelector(selector),
);
const showError = (error) => (message.textContent = error ? error.message : "");

const loadItems = async () => {
  const response = await auth.fetch("/items?limit=20");
  const body = await response.json();
  if (!response.ok) throw new Error(body.detail);
  return body.items.map(({ name, price, currency }) => {
    const row = document.createElement("li");
    row.textContent = `${name}: ${price} ${currency}`;
    return row;
  });
};

const render = async () => {
  const signedIn = auth.getSnapshot().status === "signed-in";
  form.hidden = signedIn;
  signOut.hidden = !signedIn;
  list.replaceChildren(...(signedIn ? await loadItems().catch((error) => (showError(error), [])) : []));
};

form.addEventListener("submit", (event) => {
  event.preventDefault();
  auth.login(Object.fromEntries(new FormData(form))).then(() => (form.reset(), showError()), showError);
});
signOut.addEventListener("click", () => auth.logout().catch(showError));
auth.subscribe(render);
auth.restore().catch(showError).finally(render);
