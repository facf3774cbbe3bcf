/** The versions of the API that this release speaks; a client asks for the first one. */
export const API_VERSIONS = ["1.0"] as const;
