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
 * @typedef {Readonly<{id: string, username: string}>} User
 * @typedef {Readonly<{status: Status, sessionId: string | null, user: User | null, scope: string,
 *   reason: Code | null}>} Snapshot `reason` is the code of the problem that ended the session; with
 *   the status `unknown`, of the problem that keeps the client from finding out. It tries again.
 * @typedef {import("./problem-codes.js").ServerCode} ServerCode a code of the service
 * @typedef {"backing_off" | "cookie_not_kept" | "http_error" | "network_error"} FailureCode
 * @typedef {FailureCode | "session_changed" | "superseded"} ClientCode a code of this client
 * @typedef {ServerCode | ClientCode} Code
 * @typedef {{code?: Code, title?: string, detail?: string, request_id?: string,
 *   errors?: {field: string, message: string}[], cause?: unknown}} Problem an error response (RFC 9457);
 *   without a response, `cause` is what fetch threw.
 * @typedef {{baseUrl?: string | URL | undefined, storage?: Store | undefined}} Options
 * @typedef {Pick<Storage, "getItem" | "setItem" | "removeItem">} Store
 * @typedef {{access_token: string, session_id: string, user: User | null, scope: string,
 *   until: number, life: number}} Grant `until` is a Date.now(), `life` is in milliseconds.
 * @typedef {{status: number, data: any, wait: number}} Reply
 * @typedef {(error: AuthError) => void} Caller is told of each failure, and may stop waiting.
 * @typedef {{replaced: string | null, done: Promise<void>,
 *   callers: Set<Caller>}} PendingRefresh `replaced` is the access token before it.
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
export type User = Readonly<{
    id: string;
    username: string;
}>;
export type Snapshot = Readonly<{
    status: Status;
    sessionId: string | null;
    user: User | null;
    scope: string;
    reason: Code | null;
}>;
export type ServerCode = import("./problem-codes.js").ServerCode;
export type FailureCode = "backing_off" | "cookie_not_kept" | "http_error" | "network_error";
export type ClientCode = FailureCode | "session_changed" | "superseded";
export type Code = ServerCode | ClientCode;
export type Problem = {
    code?: Code;
    title?: string;
    detail?: string;
    request_id?: string;
    errors?: {
        field: string;
        message: string;
    }[];
    cause?: unknown;
};
export type Options = {
    baseUrl?: string | URL | undefined;
    storage?: Store | undefined;
};
export type Store = Pick<Storage, "getItem" | "setItem" | "removeItem">;
export type Grant = {
    access_token: string;
    session_id: string;
    user: User | null;
    scope: string;
    until: number;
    life: number;
};
export type Reply = {
    status: number;
    data: any;
    wait: number;
};
export type Caller = (error: AuthError) => void;
export type PendingRefresh = {
    replaced: string | null;
    done: Promise<void>;
    callers: Set<Caller>;
};
/**
 * A failed call; `status` is 0 if there was no response. `message` is for users: what is wrong, what
 * to do next, and the code. `problem` may be the body of any response; only texts in it are shown.
 */
export declare class AuthError extends Error {
    status: number;
    code: Code;
    problem: Problem;
    retryAfter: number;
    /** @param {number} status @param {Problem | null} [problem] @param {number} [retryAfter] seconds */
    constructor(status: number, problem?: Problem | null, retryAfter?: number);
}
/** The client of one tab, for the session of the browser's refresh cookie. */
declare class Auth {
    #private;
    /** @param {Options} options */
    constructor({ baseUrl, storage }: Options);
    /**
     * Resume the session; make no request if nobody was signed in. Reject if the server fails; the
     * client tries again in the background until it knows the status. With `force`, for a button,
     * ask now, whatever the hint in storage and Retry-After say.
     */
    restore: ({ force }?: {
        force?: boolean | undefined;
    }) => Promise<Readonly<{
        status: Status;
        sessionId: string | null;
        user: User | null;
        scope: string;
        reason: Code | null;
    }>>;
    /**
     * Sign in. The password is sent once and not stored. At the first sign-in in a browser, one
     * refresh shows whether it keeps the cookie; otherwise reject with the code `cookie_not_kept`.
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
     * A path is relative to baseUrl: "/items" is "https://host/api/items". Any other URL, of another
     * origin or beside baseUrl, is requested without the token. Without a response, whatever the URL,
     * reject with an `AuthError`; its `cause` is what fetch threw.
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
        user: User | null;
        scope: string;
        reason: Code | null;
    }>;
    /** Return the state that a server renders, `unknown`; for useSyncExternalStore. */
    getServerSnapshot: () => Readonly<{
        status: Status;
        sessionId: string | null;
        user: User | null;
        scope: string;
        reason: Code | null;
    }>;
    /** Close the channel, remove the listeners and stop retrying; for tests and hot reloading. */
    close: () => void;
}
/**
 * Create the client; make no request. `baseUrl` is the URL of the API with its path, or a path of the
 * page's origin ("/api"); by default the page's origin.
 * @param {Options} [options]
 */
export declare const createAuth: (options?: Options) => Auth;
export {};
