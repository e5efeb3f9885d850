import { type FormEvent, type ReactNode, useState, useSyncExternalStore } from "react";
import { createRoot } from "react-dom/client";
import { QueryClient, QueryClientProvider, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { AuthError, createAuth, type Problem } from "itemsapi-auth";

const auth = createAuth({ baseUrl: import.meta.env.VITE_API_URL });
const useAuth = () => useSyncExternalStore(auth.subscribe, auth.getSnapshot, auth.getServerSnapshot);
const ignore = () => {}; // the snapshot says what is wrong, and the client tries again

type Item = { id: string; name: string; price: string; currency: string };
type Device = { id: string; device: string; current: boolean };

/** Call the API. Return the JSON of the response, or throw an AuthError with its problem. */
async function api<T>(path: string, init?: RequestInit): Promise<T> {
  const response = await auth.fetch(path, init);
  const body: unknown = response.status === 204 ? null : await response.json();
  if (!response.ok) throw new AuthError(response.status, body as Problem);
  return body as T;
}

/** Repeat a query if that can help: without a response, and after 429 and 5xx. */
const retry = (failures: number, error: Error) => {
  const isFinal = error instanceof AuthError && error.status !== 429 && error.status >= 400 && error.status < 500;
  return !isFinal && failures < 3;
};

/** The guard: shows its children to a signed-in user only. Each session has a cache of its own. */
function SignedIn({ children }: { children: ReactNode }) {
  const { status, reason, sessionId } = useAuth();
  if (status === "unknown") return <p role="status">{reason ? `The service is away (${reason}).` : "One moment"}</p>;
  if (status === "signed-out") return <SignIn />;
  return <Cache key={sessionId}>{children}</Cache>;
}

function Cache({ children }: { children: ReactNode }) {
  const [client] = useState(() => new QueryClient({ defaultOptions: { queries: { retry } } }));
  return <QueryClientProvider client={client}>{children}</QueryClientProvider>;
}

/** The messages of a 422, by field. */
const fieldErrors = (error: Error | null): Record<string, string> => {
  const errors = error instanceof AuthError ? (error.problem.errors ?? []) : [];
  return Object.fromEntries(errors.map(({ field, message }) => [field, message]));
};

type FieldProps = { name: string; label: string; type?: string; autoComplete?: string; error?: string | undefined };

function Field({ name, label, type = "text", autoComplete = "off", error = "" }: FieldProps) {
  return (
    <p>
      <label>{label} <input name={name} type={type} autoComplete={autoComplete} aria-invalid={error !== ""} aria-describedby={`${name}-error`} /></label>
      <span id={`${name}-error`}>{error}</span>
    </p>
  );
}

function SignIn() {
  const [error, setError] = useState<Error | null>(null);
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    auth.login({ username: String(form.get("username")), password: String(form.get("password")) }).catch(setError);
  };
  const errors = fieldErrors(error);
  return (
    <form onSubmit={submit} noValidate>
      <Field name="username" label="User name" autoComplete="username" error={errors.username} />
      <Field name="password" label="Password" type="password" autoComplete="current-password" error={errors.password} />
      <button>Sign in</button>
      <p role="alert">{Object.keys(errors).length === 0 && error?.message}</p>
    </form>
  );
}

function NewItem() {
  const client = useQueryClient();
  const add = useMutation({
    mutationFn: (item: object) =>
      api<Item>("/items", { method: "POST", body: JSON.stringify(item), headers: { "Content-Type": "application/json" } }),
    onSuccess: () => client.invalidateQueries({ queryKey: ["items"] }),
  });
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = event.currentTarget;
    add.mutate(Object.fromEntries(new FormData(form)), { onSuccess: () => form.reset() });
  };
  const errors = fieldErrors(add.error);
  return (
    <form onSubmit={submit} noValidate>
      <Field name="name" label="Name" error={errors.name} />
      <Field name="price" label="Price" error={errors.price} />
      <Field name="currency" label="Currency" error={errors.currency} />
      <button disabled={add.isPending}>Add</button>
      <p role="alert">{Object.keys(errors).length === 0 && add.error?.message}</p>
    </form>
  );
}

function Items() {
  const queryFn = ({ signal }: { signal: AbortSignal }) => api<{ items: Item[] }>("/items?limit=20", { signal });
  const { data, error } = useQuery({ queryKey: ["items"], queryFn });
  if (error) return <p role="alert">{error.message}</p>;
  return <ul>{data?.items.map(({ id, name, price, currency }) => <li key={id}>{name}: {price} {currency}</li>)}</ul>;
}

function Devices() {
  const client = useQueryClient();
  const queryFn = ({ signal }: { signal: AbortSignal }) => api<{ items: Device[] }>("/auth/sessions", { signal });
  const { data } = useQuery({ queryKey: ["sessions"], queryFn });
  const end = useMutation({
    mutationFn: (id: string) => api<null>(`/auth/sessions/${id}`, { method: "DELETE" }),
    onSuccess: () => client.invalidateQueries({ queryKey: ["sessions"] }),
  });
  return data?.items.map(({ id, device, current }) => (
    <p key={id}>{device} {current ? "(this device)" : <button onClick={() => end.mutate(id)}>End</button>}</p>
  ));
}

function Home() {
  const { user } = useAuth();
  return (
    <main>
      <p>Signed in as {user?.username} <button onClick={() => void auth.logout().catch(ignore)}>Sign out</button></p>
      <NewItem />
      <Items />
      <Devices />
    </main>
  );
}

createRoot(document.getElementById("root")!).render(<SignedIn><Home /></SignedIn>);
auth.restore().catch(ignore);
