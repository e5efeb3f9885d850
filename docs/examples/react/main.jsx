import { useEffect, useState, useSyncExternalStore } from "react";
import { createRoot } from "react-dom/client";
import { createAuth } from "itemsapi-auth";

const auth = createAuth({ baseUrl: import.meta.env.VITE_API_URL });

function SignIn() {
  const [problem, setProblem] = useState("");
  const submit = (form) => auth.login(Object.fromEntries(form)).catch((error) => setProblem(error.message));
  return (
    <form action={submit}>
      <label>User name <input name="username" autoComplete="username" required /></label>
      <label>Password <input name="password" type="password" autoComplete="current-password" required /></label>
      <button>Sign in</button>
      <p role="alert">{problem}</p>
    </form>
  );
}

function Items() {
  const [items, setItems] = useState([]);
  useEffect(() => {
    auth.fetch("/items?limit=20").then((response) => response.json()).then((body) => setItems(body.items ?? []));
  }, []);
  return <ul>{items.map(({ id, name, price, currency }) => <li key={id}>{name}: {price} {currency}</li>)}</ul>;
}

function App() {
  const { status } = useSyncExternalStore(auth.subscribe, auth.getSnapshot);
  if (status === "unknown") return <p>One moment</p>;
  if (status === "signed-out") return <SignIn />;
  return <><Items /><button onClick={() => auth.logout()}>Sign out</button></>;
}

createRoot(document.getElementById("root")).render(<App />);
auth.restore().catch(console.error);
