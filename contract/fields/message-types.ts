import type { Fields, Table } from "./field.ts";

/** The types of requests and answers, inferred from the tables of fields. */

type Variants<T extends Table> = T["fields"][keyof T["fields"]] extends infer F
  ? F extends { type: { kinds: readonly (infer K extends string)[] } }
    ? K
    : never
  : never;
/** The variants of a table that its `kind` tells apart; one without a name for all other tables. */
type VariantOf<T extends Table> = [Variants<T>] extends [never] ? "" : Variants<T>;
type VariantAs<X, T extends Table> = X extends { as: infer V extends string } ? V : VariantOf<T>;

type Has<F, V> = F extends { only: infer O } ? (V extends O ? true : false) : true;
type Flat<T> = { [K in keyof T]: T[K] };

type ScalarOf<T> = T extends "int32" | "int64"
  ? number
  : T extends "boolean"
    ? boolean
    : T extends string
      ? string
      : never;

/** `Whole` answers are about the resource; an inline object stands in another resource. */
type Place = "whole" | "inline";
type IsAlways<F, P> = F extends { answer: "always" }
  ? true
  : F extends { answer: "own" }
    ? P extends "whole"
      ? true
      : false
    : false;

type AnswerFields<F extends Fields, V, P extends Place> = Flat<
  {
    -readonly [
      K in keyof F as Has<F[K], V> extends true ? (IsAlways<F[K], P> extends true ? K : never) : never
    ]: AnswerValue<F[K]["type"], V, P>;
  } & {
    -readonly [
      K in keyof F as Has<F[K], V> extends true ? (IsAlways<F[K], P> extends true ? never : K) : never
    ]?: AnswerValue<F[K]["type"], V, P>;
  }
>;

type AnswerValue<T, V, P extends Place> = T extends { oneOf: readonly (infer S)[] }
  ? S
  : T extends { kinds: readonly string[] }
    ? V
    : T extends { listOf: infer I }
      ? AnswerValue<I, V, P>[]
      : T extends { mapOf: infer S }
        ? Record<string, ScalarOf<S>>
        : T extends { reference: infer R extends Table }
          ? AnswerOf<R, V, "inline">
          : T extends { object: infer O extends Table }
            ? AnswerOf<O, VariantAs<T, O>, P>
            : ScalarOf<T>;

/** An object of a table as the server answers it. A union where the table has variants. */
export type AnswerOf<T extends Table, V = VariantOf<T>, P extends Place = "whole"> = V extends unknown
  ? AnswerFields<T["fields"], V, P>
  : never;

type IsGiven<F> = F extends { request: "ignored" } ? false : true;
type IsRequired<F> = F extends { request: "required" } ? true : false;

type RequestFields<F extends Fields, V> = Flat<
  {
    -readonly [
      K in keyof F as Has<F[K], V> extends true ? (IsRequired<F[K]> extends true ? K : never) : never
    ]: RequestValue<F[K]["type"], V>;
  } & {
    -readonly [
      K in keyof F as Has<F[K], V> extends true
        ? IsGiven<F[K]> extends true
          ? IsRequired<F[K]> extends true
            ? never
            : K
          : never
        : never
    ]?: RequestValue<F[K]["type"], V>;
  }
>;

type RequestValue<T, V> = T extends { oneOf: readonly (infer S)[] }
  ? S
  : T extends { kinds: readonly string[] }
    ? V
    : T extends { listOf: infer I }
      ? RequestValue<I, V>[]
      : T extends { mapOf: infer S }
        ? Record<string, ScalarOf<S>>
        : T extends { reference: infer R extends Table }
          ? string | RequestOf<R, V>
          : T extends { object: infer O extends Table }
            ? RequestOf<O, VariantAs<T, O>>
            : ScalarOf<T>;

/** An object of a table as a client sends it: only what the server does not ignore. */
export type RequestOf<T extends Table, V = VariantOf<T>> = V extends unknown ? RequestFields<T["fields"], V> : never;

type HasDefault<F> = F extends { default: unknown } ? true : IsRequired<F>;

type InputFields<F extends Fields, V> = Flat<
  {
    -readonly [
      K in keyof F as Has<F[K], V> extends true ? (HasDefault<F[K]> extends true ? K : never) : never
    ]: InputValue<F[K]["type"], V>;
  } & {
    -readonly [
      K in keyof F as Has<F[K], V> extends true
        ? IsGiven<F[K]> extends true
          ? HasDefault<F[K]> extends true
            ? never
            : K
          : never
        : never
    ]?: InputValue<F[K]["type"], V>;
  }
>;

/** A stored object by name, with a version if the request gave one, or the object itself. */
export type ChoiceOf<T extends Table> = { name: string; version?: number } | { inline: InputOf<T> };

type InputValue<T, V> = T extends { oneOf: readonly (infer S)[] }
  ? S
  : T extends { kinds: readonly string[] }
    ? V
    : T extends { listOf: infer I }
      ? InputValue<I, V>[]
      : T extends { mapOf: infer S }
        ? Record<string, ScalarOf<S>>
        : T extends { reference: infer R extends Table }
          ? ChoiceOf<R>
          : T extends { object: infer O extends Table }
            ? InputOf<O, VariantAs<T, O>>
            : ScalarOf<T>;

/** A request as the server has it after checking: in canonical form, with the defaults. */
export type InputOf<T extends Table, V = VariantOf<T>> = V extends unknown ? InputFields<T["fields"], V> : never;

type FileField<F> = F extends { file: "refused" } ? false : F extends { file: "ignored" } ? false : IsGiven<F>;

type FileValue<T> = T extends { oneOf: readonly string[] } | { kinds: readonly string[] }
  ? string
  : T extends { listOf: infer I }
    ? FileValue<I>[]
    : T extends { mapOf: infer S }
      ? Record<string, ScalarOf<S>>
      : T extends { reference: infer R extends Table }
        ? string | FileOf<R>
        : T extends { object: infer O extends Table }
          ? FileOf<O>
          : ScalarOf<T>;

/** An object in a YAML file: anything can be missing, and the server checks which variant it is. */
export type FileOf<T extends Table> = {
  -readonly [K in keyof T["fields"] as FileField<T["fields"][K]> extends true ? K : never]?: FileValue<
    T["fields"][K]["type"]
  >;
};
