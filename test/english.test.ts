import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";

const ROOT = resolve(import.meta.dirname, "..");

/** What a native engineer would not write, and what to write instead. Matched in code, comments, strings and pages alike. */
const PHRASES: readonly (readonly [RegExp, string])[] = [
  [/\bbe had\b/, "be installed, pulled, found"],
  [/\bfor ever\b/, "forever"],
  [/\b(go|goes|went|gone) on\b/, "continue, keep running, happen"],
  [
    /(?<!\bthere )\b(is|are|was|were|be) no (?!longer\b|more\b|less\b|different\b|better\b|match\b)[a-z]+/i,
    "is not a, has no",
  ],
  [/\b(is|are|was|were|be|been|being) told (?!to\b|apart\b)/, "prints, reports, returns, is notified, gets"],
  [/\b(is|are|was|were|be|been) said\b/, "prints, reports"],
  [/\b(say|says|said|saying) so\b/, "prints it, reports it, name the act"],
  [/\bsays? of (it|him|her|them)sel(f|ves)\b/, "reports"],
  [/\bcom(e|es|ing) to (its|their|an|the) end\b/, "end"],
  [/\b(some|every|any)body\b/, "name the party: another user, the caller, any process"],
  [/(?<!["'`-]|\bas |\buser |\buid )\bnobody\b(?!["'`-])/i, "no process, no user, no one"],
  [/\bfor want of\b/, "because … ran out"],
  [/\bwhom\b/, "a sentence without whom"],
  [/\bwhoever\b/i, "name the party: the caller, the user who"],
  [/\b(lies|lie in|lay in)\b/, "is, is in, is stored in"],
  [/\bclosed to\b/, "you do not have permission, not accessible to"],
  [/\b(un)?heed(s|ed)?\b/, "honor, deliver"],
  [/\bhea(rs?|rd) of\b/, "notice, learn of"],
  [/\banew\b/, "again, new"],
  [/\bin vain\b/, "without success, needlessly"],
  [/\b(in silence|without a word)\b/, "silently"],
  [/\bpass(es|ed)? for\b/, "count as, be mistaken for"],
  [/\bmend(s|ed)?\b/, "fix, repair"],
  [/\bat hand\b/, "available"],
  [/\bbe it\b/, "even, for example"],
  [/\b(cannot|can) serve\b/, "work, be used"],
  [/\b(may|can) stand\b|\bstands? (before|after|below|above|beside|in for)\b/, "is, can be used"],
  [/\bas (it|they) comes?\b/, "as it arrives"],
  [/\bbegins? so\b/, "starts with this"],
  [/\bdoes not say which\b|\btells? of\b/, "report, mention"],
  // A comment or a name of a test that is a clause without its noun.
  [/(\/\*\* |\/\/ |^# |^\s*\* )(And |Of |With |For )?What (?![^?]*\?)/, "name the thing: The bytes that …, not What …"],
  [/\b(test|describe)(\.\w+(\(.*\))?)?\("what /, "name the thing: bytes that …, not what …"],
  [/\bwhat (cannot|has to|had|must not|may|is no|was no|does not|nobody|somebody)\b/, "name the thing"],
  // British spellings, in names as well.
  [
    /cancell(ed|ing|er)(?!Failure)|colour|behaviour|neighbour|favour|honour|labell(ed|ing)|signall|modell(ed|ing)/i,
    "American spelling",
  ],
  [
    /travell(ed|ing)|(?<![a-z])(grey|whilst|amongst|judgement|artefact|catalogue|licence|centre|programme)\b/i,
    "American spelling",
  ],
  [
    /(serial|initial|final|normal|organ|recogn|optim|minim|maxim|synchron|author|summar|real|general|capital|token|special|util|visual|analy)is(e|es|ed|ing|ation)\b/i,
    "American spelling: -ize",
  ],
];

const files = execFileSync("git", ["ls-files", "-co", "--exclude-standard"], { cwd: ROOT, encoding: "utf8" })
  .split("\n")
  .filter((name) => /\.(ts|md|ya?ml)$|^bin\/|^\.ci\//.test(name))
  .filter((name) => name !== "test/english.test.ts");

/** `line: phrase -> better` for each phrase in `text`. */
function findingsIn(text: string): string[] {
  return text.split("\n").flatMap((line, index) =>
    PHRASES.flatMap(([phrase, better]) => {
      const [found] = phrase.exec(line) ?? [];
      return found === undefined ? [] : [`${index + 1}: '${found.trim()}' -> ${better}`];
    }),
  );
}

test("the tree is written in plain American English", () => {
  const findings = files.flatMap((name) =>
    findingsIn(readFileSync(join(ROOT, name), "utf8")).map((finding) => `${name}:${finding}`),
  );
  // As one text: an array would be cut short in the report.
  expect(findings.join("\n")).toBe("");
});

test.each([
  "// An image that cannot be had",
  "It waits for ever",
  "the job goes on",
  "this is no request",
  "The pump was told twice",
  "the help says so",
  "somebody else's",
  "a pipe that nobody reads",
  "ended for want of memory",
  "the user to whom it belongs",
  "the file lies in /tmp",
  "the socket is closed to you",
  "/** What the server sent. */",
  'test("what is refused", () => {',
  "hasColours: boolean",
  "The run was cancelled",
  "serialised as JSON",
])("finds the phrase in '%s'", (line) => {
  expect(findingsIn(line)).toHaveLength(1);
});

test.each([
  "There is no route",
  "it is no longer used",
  "runs as the user 'nobody'",
  "CancelledFailure and cancellation",
  "wait until it is told to stop",
  "two that cannot be told apart",
  "// What if it fails?",
  "to exercise, otherwise, a promise",
])("accepts '%s'", (line) => {
  expect(findingsIn(line)).toEqual([]);
});
