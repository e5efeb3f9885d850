import { useSyncExternalStore } from "react";
import { createAuth } from "itemsapi-auth";

export const auth = createAuth({ baseUrl: import.meta.env.VITE_API_URL }); // on the server it only says "unknown"

export function App() {
  const { status, reason, user, sessionId } = useSyncExternalStore(
    auth.subscribe,
    auth.getSnapshot,
    auth.getServerSnapshot, // what the server rendered, until the page has started
  );
  if (status === "unknown") return <p>{reason ? `The service is away (${reason}).` : "One moment"}</p>;
  if (status === "signed-out") return <p>Nobody is signed in.</p>;
  return <p key={sessionId}>Signed in as {user?.username}</p>;
}
