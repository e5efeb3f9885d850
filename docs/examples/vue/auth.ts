import { onScopeDispose, shallowRef } from "vue";
import { createAuth } from "itemsapi-auth";

export const auth = createAuth({ baseUrl: import.meta.env.VITE_API_URL });
auth.restore().catch(() => {}); // the snapshot says what is wrong, and the client tries again

export const useAuth = () => {
  const snapshot = shallowRef(auth.getSnapshot());
  onScopeDispose(auth.subscribe(() => (snapshot.value = auth.getSnapshot())));
  return snapshot;
};
