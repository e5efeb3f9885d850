/**
 * Sign in once, stay signed in, in every tab: the browser's side of itemsapi.
 *
 * The refresh token lives in an HttpOnly cookie that no script can read; the access token lives in
 * this module's memory and nowhere else. Tabs tell each other what they learn. Everything here is
 * an optimisation of what the server already gets right: without locks, channel or storage the
 * user still stays signed in.
 *
 * @typedef {{username: string, password: string, scope?: string, device?: string}} Credentials
 * @typedef {{currentPassword: string, newPassword: string, endOtherSessions?: boolean}} Passwords
 * @typedef {"unknown" | "signed-in" | "signed-out"} Status
 * @typedef {Readonly<{status: Status, sessionId: string | null, scope: string,
 *   reason: string | null}>} Snapshot `reason` is the problem code that ended the session.
 * @typedef {{code?: string, title?: string, detail?: string, request_id?: string,
 *   errors?: {field: string, message: string}[]}} Problem RFC 9457, as itemsapi answers it.
 * @typedef {Pick<Storage, "getItem" | "setItem" | "removeItem">} Store
 * @typedef {{access_token: string, session_id: string, scope: string,
 *   until: number, life: number}} Grant `until` is a Date.now(), `life` counts milliseconds.
 * @typedef {{status: number, data: any, wait: number}} Reply
 * @typedef {(error: AuthError) => void} Tell
 * @typedef {{worn: string | null, done: Promise<void>, callers: Set<Tell>}} Flight a refresh that
 *   replaces the token `worn`, and whom to tell of its failures
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
export type Tell = (error: AuthError) => void;
export type Flight = {
    worn: string | null;
    done: Promise<void>;
    callers: Set<Tell>;
};
/** A call of the sign-in endpoints that did not succeed; `status` is 0 when no answer came. */
export declare class AuthError extends Error {
    status: number;
    code: string;
    problem: Problem;
    retryAfter: number;
    /** @param {number} status @param {Problem} [problem] @param {number} [retryAfter] seconds */
    constructor(status: number, problem?: Problem, retryAfter?: number);
}
/** One tab's view of the session that the browser's cookie stands for. */
declare class Auth {
    #private;
    /** @param {{baseUrl?: string | URL, storage?: Store}} options */
    constructor({ baseUrl, storage }: {
        baseUrl?: string | URL;
        storage?: Store;
    });
    /** Find out who is signed in; a guest causes no request. Rejects when the server is away. */
    restore: ({ force }?: {
        force?: boolean | undefined;
    }) => Promise<Readonly<{
        status: Status;
        sessionId: string | null;
        scope: string;
        reason: string | null;
    }>>;
    /**
     * Start a session. The password is sent once and never kept.
     * @param {Credentials} credentials
     * @returns {Promise<Snapshot>}
     */
    login: (credentials: Credentials) => Promise<Snapshot>;
    /**
     * Set another password. The session goes on with new tokens, in all tabs; every older token of it
     * is revoked, and the user's other sessions end unless `endOtherSessions` is false. If no answer
     * comes (`network_error`), the password may have been changed: the user signs in again.
     * @param {Passwords} passwords
     * @returns {Promise<Snapshot>}
     */
    changePassword: ({ currentPassword, newPassword, endOtherSessions }: Passwords) => Promise<Snapshot>;
    /**
     * End the session, here and in every tab at once; `everywhere` ends the user's other ones too.
     * Rejects when the server could not be told, which the next `restore()` then tries again.
     */
    logout: ({ everywhere }?: {
        everywhere?: boolean | undefined;
    }) => Promise<void>;
    /** An access token that is good now, or null for a guest. */
    getToken: () => Promise<string | null>;
    /**
     * As the platform's fetch, with the access token for addresses under baseUrl, and one replay
     * after a 401. A path is taken below baseUrl: "/items" is "https://host/api/items".
     * @param {RequestInfo | URL} input @param {RequestInit} [init] @returns {Promise<Response>}
     */
    fetch: (input: RequestInfo | URL, init?: RequestInit) => Promise<Response>;
    /**
     * Call back after every change of the snapshot; the answer takes the listener off again.
     * @param {() => void} listener @returns {() => void}
     */
    subscribe: (listener: () => void) => () => void;
    /** The same object until something changes. */
    getSnapshot: () => Readonly<{
        status: Status;
        sessionId: string | null;
        scope: string;
        reason: string | null;
    }>;
    /** Let go of channel and listeners, and try nothing again; for tests and hot reloading. */
    close: () => void;
}
/**
 * The only thing to call. `baseUrl` is where the API is, its path included, by default the page's own origin.
 * @param {{baseUrl?: string | URL, storage?: Store}} [options]
 */
export declare const createAuth: (options?: {
    baseUrl?: string | URL;
    storage?: Store;
}) => Auth;
export {};
