import { defineConfig } from "drizzle-kit";

/** `npm run migration` compares db/schema.ts with the last snapshot; what a table cannot say (triggers) is written by hand. */
export default defineConfig({ dialect: "postgresql", schema: "./db/schema.ts", out: "./db/migrations" });
