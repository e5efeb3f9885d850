import { createAuth } from "/client.js";

const auth = createAuth(); // the API is where this page comes from
const [form, list, leave, alert] = ["form", "ul", "#leave", "[role=alert]"].map((name) =>
  document.querySelector(name),
);
const say = (error) => (alert.textContent = error ? error.message : "");

const items = async () => {
  const answer = await auth.fetch("/items?limit=20");
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.detail);
  return body.items.map(({ name, price, currency }) => {
    const row = document.createElement("li");
    row.textContent = `${name}: ${price} ${currency}`;
    return row;
  });
};

const show = async () => {
  const signedIn = auth.getSnapshot().status === "signed-in";
  form.hidden = signedIn;
  leave.hidden = !signedIn;
  list.replaceChildren(...(signedIn ? await items().catch((error) => (say(error), [])) : []));
};

form.addEventListener("submit", (event) => {
  event.preventDefault();
  auth.login(Object.fromEntries(new FormData(form))).then(() => (form.reset(), say()), say);
});
leave.addEventListener("click", () => auth.logout().catch(say));
auth.subscribe(show);
auth.restore().catch(say).finally(show);
