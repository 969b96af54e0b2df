/** Where a client's bearer token comes from. */

/** Gives the present token. It is asked before every call and before every reconnect of a stream. */
export type TokenProvider = () => string | Promise<string>;

/** A token is renewed when less than this part of its life is left. */
const RENEW_FRACTION = 0.25;

interface Held {
  readonly token: string;
  readonly renewAtMs: number;
}

/**
 * Keeps the token that `fetchToken` gives, and asks for another one well before it expires: long streams stay alive.
 *
 * @param fetchToken asks whoever issues the tokens, a JWT with `exp`; calls at the same time share one answer.
 */
export function renewed(fetchToken: () => Promise<string>): TokenProvider {
  let held: Held | undefined;
  let asking: Promise<Held> | undefined;

  async function ask(): Promise<Held> {
    try {
      const token = await fetchToken();
      held = { token, renewAtMs: renewAtMs(token) };
      return held;
    } finally {
      asking = undefined;
    }
  }

  return async () => {
    if (held !== undefined && performance.now() < held.renewAtMs) {
      return held.token;
    }
    asking ??= ask();
    return (await asking).token;
  };
}

/** When to renew `token`, on the clock of this page: its life counts from now, whatever the wall clock here says. */
function renewAtMs(token: string): number {
  const { exp, iat } = claims(token);
  const lifeMs = (exp - (iat ?? Date.now() / 1000)) * 1000;
  return performance.now() + lifeMs * (1 - RENEW_FRACTION);
}

function claims(token: string): { readonly exp: number; readonly iat?: number } {
  const [, payload = ""] = token.split(".");
  const parsed: unknown = JSON.parse(atob(payload.replaceAll("-", "+").replaceAll("_", "/")));
  if (typeof parsed !== "object" || parsed === null || !("exp" in parsed) || typeof parsed.exp !== "number") {
    throw new TypeError("the token does not say when it expires");
  }
  return "iat" in parsed && typeof parsed.iat === "number" ? { exp: parsed.exp, iat: parsed.iat } : { exp: parsed.exp };
}
