import { z } from "zod";
import { isSafeIssuer } from "../model/issuer.ts";

/** Who can use the control plane over TCP. */
export const authenticationSchema = z.union(
  [
    /** Everyone, also beyond loopback. */
    z.literal("none"),
    z.strictObject({
      /** As in its discovery document, which is at `/.well-known/openid-configuration` below it. */
      issuer: z.string().refine(isSafeIssuer, "must be an https URL, or an http one of this machine"),
      /** A token must be for it. */
      audience: z.string().regex(/^[\x21-\x7e]+$/, "must be text without spaces"),
      /** The public client at the issuer that the command line uses when a person logs in. */
      clientId: z.string().min(1).optional(),
      /** The scope that clients ask the issuer for; without it, they ask for the audience. */
      scope: z.string().min(1).optional(),
    }),
  ],
  { error: "must be 'none', or have 'issuer' and 'audience'" },
);
