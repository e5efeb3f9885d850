import { readable } from "svelte/store";
import { createAuth } from "itemsapi-auth";

export const auth = createAuth({ baseUrl: import.meta.env.VITE_API_URL });
auth.restore().catch(() => {}); // the snapshot says what is wrong, and the client tries again

export const session = readable(auth.getSnapshot(), (set) => {
  set(auth.getSnapshot());
  return auth.subscribe(() => set(auth.getSnapshot()));
});
