/**
 * The browser client of itemsapi: sign in once and stay signed in, in every tab.
 *
 * The refresh token is in an HttpOnly cookie that scripts cannot read. The access token is in the
 * memory of this module only. Tabs share new tokens and sign-outs by a BroadcastChannel. Locks,
 * channel and storage only save requests: without them the user still stays signed in, because the
 * server handles the races.
 *
 * @typedef {{username: string, password: string, scope?: string, device?: string}} Credentials
 * @typedef {{currentPassword: string, newPassword: string, endOtherSessions?: boolean}} Passwords
 * @typedef {"unknown" | "signed-in" | "signed-out"} Status
 * @typedef {Readonly<{status: Status, sessionId: string | null, scope: string,
 *   reason: string | null}>} Snapshot `reason` is the problem code that ended the session.
 * @typedef {{code?: string, title?: string, detail?: string, request_id?: string,
 *   errors?: {field: string, message: string}[]}} Problem an error response (RFC 9457).
 * @typedef {Pick<Storage, "getItem" | "setItem" | "removeItem">} Store
 * @typedef {{access_token: string, session_id: string, scope: string,
 *   until: number, life: number}} Grant `until` is a Date.now(), `life` is in milliseconds.
 * @typedef {{status: number, data: any, wait: number}} Reply
 * @typedef {(error: AuthError) => void} FailureListener
 * @typedef {{replaced: string | null, done: Promise<void>,
 *   listeners: Set<FailureListener>}} PendingRefresh `replaced` is the access token before it.
 */
export type Credentials = {
    username: string;
    password: string;
    scope?: string;
    device?: string;
};
export type Passwords = {
    currentPassword: string;
    newPassword: string;
    endOtherSessions?: boolean;
};
export type Status = "unknown" | "signed-in" | "signed-out";
export type Snapshot = Readonly<{
    status: Status;
    sessionId: string | null;
    scope: string;
    reason: string | null;
}>;
export type Problem = {
    code?: string;
    title?: string;
    detail?: string;
    request_id?: string;
    errors?: {
        field: string;
        message: string;
    }[];
};
export type Store = Pick<Storage, "getItem" | "setItem" | "removeItem">;
export type Grant = {
    access_token: string;
    session_id: string;
    scope: string;
    until: number;
    life: number;
};
export type Reply = {
    status: number;
    data: any;
    wait: number;
};
export type FailureListener = (error: AuthError) => void;
export type PendingRefresh = {
    replaced: string | null;
    done: Promise<void>;
    listeners: Set<FailureListener>;
};
/** A failed call of a sign-in endpoint; `status` is 0 if there was no response. */
export declare class AuthError extends Error {
    status: number;
    code: string;
    problem: Problem;
    retryAfter: number;
    /** @param {number} status @param {Problem} [problem] @param {number} [retryAfter] seconds */
    constructor(status: number, problem?: Problem, retryAfter?: number);
}
/** The client of one tab, for the session of the browser's refresh cookie. */
declare class Auth {
    #private;
    /** @param {{baseUrl?: string | URL, storage?: Store}} options */
    constructor({ baseUrl, storage }: {
        baseUrl?: string | URL;
        storage?: Store;
    });
    /** Resume the session; make no request if nobody was signed in. Reject if the server fails. */
    restore: ({ force }?: {
        force?: boolean | undefined;
    }) => Promise<Readonly<{
        status: Status;
        sessionId: string | null;
        scope: string;
        reason: string | null;
    }>>;
    /**
     * Sign in. The password is sent once and not stored.
     * @param {Credentials} credentials
     * @returns {Promise<Snapshot>}
     */
    login: (credentials: Credentials) => Promise<Snapshot>;
    /**
     * Change the password. The session continues with new tokens, in all tabs; its older tokens are
     * revoked, and the user's other sessions end unless `endOtherSessions` is false. Without a
     * response (`network_error`), the password may have changed: the user signs in again.
     * @param {Passwords} passwords
     * @returns {Promise<Snapshot>}
     */
    changePassword: ({ currentPassword, newPassword, endOtherSessions }: Passwords) => Promise<Snapshot>;
    /**
     * Sign out, in every tab at once; `everywhere` ends the user's other sessions too. Reject if the
     * request to the server failed; the next `restore()` sends it again.
     */
    logout: ({ everywhere }?: {
        everywhere?: boolean | undefined;
    }) => Promise<void>;
    /** Return a valid access token, or null if nobody is signed in. */
    getToken: () => Promise<string | null>;
    /**
     * Like the global fetch, with the access token for URLs below baseUrl, and one retry after a 401.
     * A path is relative to baseUrl: "/items" is "https://host/api/items".
     * @param {RequestInfo | URL} input @param {RequestInit} [init] @returns {Promise<Response>}
     */
    fetch: (input: RequestInfo | URL, init?: RequestInit) => Promise<Response>;
    /**
     * Call the listener after every change of the snapshot; return a function that removes it.
     * @param {() => void} listener @returns {() => void}
     */
    subscribe: (listener: () => void) => () => void;
    /** Return the state; the same object until it changes. */
    getSnapshot: () => Readonly<{
        status: Status;
        sessionId: string | null;
        scope: string;
        reason: string | null;
    }>;
    /** Close the channel, remove the listeners and stop retrying; for tests and hot reloading. */
    close: () => void;
}
/**
 * Create the client. `baseUrl` is the URL of the API with its path, by default the page's origin.
 * @param {{baseUrl?: string | URL, storage?: Store}} [options]
 */
export declare const createAuth: (options?: {
    baseUrl?: string | URL;
    storage?: Store;
}) => Auth;
export {};
