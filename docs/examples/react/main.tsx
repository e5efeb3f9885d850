import { type FormEvent, useEffect, useState, useSyncExternalStore } from "react";
import { createRoot } from "react-dom/client";
import { AuthError, createAuth } from "itemsapi-auth";

const auth = createAuth({ baseUrl: import.meta.env.VITE_API_URL });
const useAuth = () => useSyncExternalStore(auth.subscribe, auth.getSnapshot, auth.getServerSnapshot);
const ignore = () => {}; // the snapshot says what is wrong, and the client tries again

type Item = { id: string; name: string; price: string; currency: string };

function SignIn() {
  const [problem, setProblem] = useState("");
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const credentials = { username: String(form.get("username")), password: String(form.get("password")) };
    auth.login(credentials).catch((error: Error) => setProblem(error.message));
  };
  return (
    <form onSubmit={submit}>
      <label>User name <input name="username" autoComplete="username" required /></label>
      <label>Password <input name="password" type="password" autoComplete="current-password" required /></label>
      <button>Sign in</button>
      <p role="alert">{problem}</p>
    </form>
  );
}

function Items() {
  const [items, setItems] = useState<Item[]>([]);
  const [problem, setProblem] = useState("");
  useEffect(() => {
    const controller = new AbortController();
    const { signal } = controller;
    const load = async () => {
      const response = await auth.fetch("/items?limit=20", { signal });
      const body = await response.json();
      if (!response.ok) throw new AuthError(response.status, body);
      setItems(body.items);
    };
    load().catch((error: Error) => signal.aborted || setProblem(error.message));
    return () => controller.abort();
  }, []);
  if (problem) return <p role="alert">{problem}</p>;
  return <ul>{items.map(({ id, name, price, currency }) => <li key={id}>{name}: {price} {currency}</li>)}</ul>;
}

function Waiting({ reason }: { reason: string | null }) {
  if (!reason) return <p>One moment</p>;
  const tryNow = () => void auth.restore({ force: true }).catch(ignore);
  return <p role="alert">The service is away ({reason}). <button onClick={tryNow}>Try now</button></p>;
}

function App() {
  const { status, reason, sessionId, user } = useAuth();
  if (status === "unknown") return <Waiting reason={reason} />;
  if (status === "signed-out") return <SignIn />;
  return (
    <main key={sessionId}>
      <p>Signed in as {user?.username} <button onClick={() => void auth.logout().catch(ignore)}>Sign out</button></p>
      <Items />
    </main>
  );
}

createRoot(document.getElementById("root")!).render(<App />);
auth.restore().catch(ignore);
