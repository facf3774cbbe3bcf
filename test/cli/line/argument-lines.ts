import { RUN_STATUSES } from "../../../model/run/run.ts";

/** The moment at which all lines are given, in UTC. */
export const AT = "2026-11-22T21:37:37.503Z";

/**
 * One command line, as a shell would split it, and all that is seen of it from outside: its exit code, what it prints, and
 * the requests that reach the server, with their bodies, without the version of the API. `$FOLDER` and `$SOCKET` stand
 * for the places of the test.
 */
export type ArgumentLine = [
  line: string,
  code: 0 | 1,
  stdout: string | RegExp,
  stderr: string | RegExp,
  ...requests: string[],
];

/** Files in `$FOLDER`. */
export const FILES: Readonly<Record<string, string>> = {
  "run.yml": "job: {codespec: cat, buffers: {in: b1}, tags: {t: 1}, nodePool: p}\ntimeoutSeconds: 5\ntags: {k: 1}\n",
  "inline.yml": "job: {codespec: {image: ubuntu, command: [echo, 1]}}\n",
  "unknown.yml": "job:\n  codespec: cat\n  replica: 2\n",
  "broken.yml": "job: {codespec: [\n",
  "codespec.yml":
    "{name: c, kind: worker, image: a, env: {A: 1, B: 2}, resources: {limits: {cpu: 1, memory: 1Gi}}, args: [x]}",
  "job.yml": "{name: j, image: a, buffers: {inputs: [x], outputs: [y]}, endpoints: {}}",
  "strange.yml": "{name: c, kind: gang}",
  "login.yml": "serverUrl: unix://$SOCKET\nproxy: none\nport: 6888\n",
  "login-proxy.yml": "serverUrl: unix://$SOCKET\nproxy: nonsense\n",
  "login-empty.yml": "proxy: none\n",
  "data.txt": "bytes of a file",
};

const RUN = `{
  "id": 7,
  "status": "Succeeded",
  "createdAt": "2024-01-25T18:20:49.1Z",
  "job": {
    "codespec": {
      "image": "ubuntu"
    }
  }
}
`;
const RUN_LINE = '{"id":7,"status":"Succeeded","createdAt":"2024-01-25T18:20:49.1Z"}\n';
const RUNS = `[
  {
    "id": 7,
    "status": "Succeeded",
    "createdAt": "2024-01-25T18:20:49.1Z"
  }
]
`;
const CODESPEC = `{
  "kind": "job",
  "name": "cat",
  "version": 1,
  "buffers": {
    "inputs": [
      "in"
    ],
    "outputs": [
      "out"
    ]
  },
  "image": "ubuntu"
}
`;
const BUFFER = `{
  "id": "b1",
  "createdAt": "2024-01-25T18:20:49Z",
  "eTag": "1"
}
`;
const LOG = "one\ntwo\n";
const NO_LOGIN = "Error: run 'tyger login' to connect to a Tyger server\n";
/** The run may be through before it is first looked at. */
const EXECUTED =
  /^.* INF Run created runId=7\n(.* INF Run status changed runId=7 status=Running\n)?.* INF Run status changed runId=7 status=Succeeded\n$/;
const EXEC_REQUESTS = [
  "GET /codespecs/cat",
  "GET /runs/7?watch=true",
  "POST /buffers/bin/access?ttl=01%3A00%3A00&writeable=true",
  "POST /buffers/bout/access?ttl=01%3A00%3A00&writeable=false",
];
const HELP_OF = (path: string): RegExp =>
  new RegExp(`^[^]*\\(${path}\\)\n\nUSAGE ${path}[^]*\nOPTIONS\n\n[^]*--log-level=[^]*-h, --help [^]*$`);

/** A line that is refused, with one line on stderr and before the server is asked anything. */
const refused = (line: string, reason: string): ArgumentLine => [line, 1, "", `Error: ${reason}\n`];
const invalid = (line: string, flag: string, value: string, reason: string): ArgumentLine =>
  refused(line, `invalid value "${value}" for the flag --${flag}: ${reason}`);
/** A line that lists runs; of interest is what it asks for. */
const lists = (flags: string, query: string): ArgumentLine => [`run list ${flags}`, 0, RUNS, "", `GET /runs?${query}`];
/** A line that creates a run with this body. */
const creates = (flags: string, body: string): ArgumentLine => [
  `run create ${flags}`,
  0,
  "7\n",
  "",
  `POST /runs ${body}`,
];
/** A line that stores the codespec c. */
const stores = (flags: string, fields: string): ArgumentLine => [
  `codespec create ${flags}`,
  0,
  "3\n",
  "",
  `PUT /codespecs/c {"name":"c",${fields}}`,
];

/** Lines of a user who is logged in. */
export const ARGUMENT_LINES: Readonly<Record<string, readonly ArgumentLine[]>> = {
  "commands and their other names": [
    ["run show 7", 0, RUN, "", "GET /runs/7"],
    ["runs get 7", 0, RUN, "", "GET /runs/7"],
    ["run counts", 0, '{\n  "running": 1,\n  "succeeded": 2\n}\n', "", "GET /runs/counts"],
    ["runs count", 0, '{\n  "running": 1,\n  "succeeded": 2\n}\n', "", "GET /runs/counts"],
    ["run cancel 7", 0, "Cancel requested for run 7\n", "", "POST /runs/7/cancel"],
    ["run stop 7", 0, "Cancel requested for run 7\n", "", "POST /runs/7/cancel"],
    ["run set 7 --tag a=1", 0, /"tags": \{\n    "a": "1"\n  \}/, "", "GET /runs/7", 'PUT /runs/7 {"tags":{"a":"1"}}'],
    ["run set 7 --tag a=1,b=2 --clear-tags", 0, /"b": "2"/, "", 'PUT /runs/7 {"tags":{"a":"1","b":"2"}}'],
    ["run set 7 --clear-tags", 0, /^\{\n  "id": 7,[^]*\n\}\n$/, "", 'PUT /runs/7 {"tags":{}}'],
    ["runs set 7 --etag 3", 1, "", "Error: the server's ETag does not match the provided ETag\n", "GET /runs/7"],
    ["run set", 1, "", /^Error: the argument ID of "tyger run set" is missing\n/],
    ["run set 7 8", 1, "", /^Error: unexpected argument "8" for "tyger run set"\n/],
    ["run set 8", 1, "", "Error: NotFound: The resource was not found\n", "GET /runs/8"],
    ["buffers get b1", 0, BUFFER, "", "GET /buffers/b1"],
    ["codespecs get cat", 0, CODESPEC, "", "GET /codespecs/cat"],
    ["run watch 7", 0, RUN_LINE, "", "GET /runs/7?watch=true"],
    ["run watch 7 --full-resource", 0, /^\{"id":7,.*"job":.*\}\n$/, "", "GET /runs/7?watch=true"],
    ["login status", 0, "Logged in to unix://$SOCKET\n", "", "GET /metadata"],
    ["logout", 0, "", ""],
    ["completion bash", 0, /^# bash completion of tyger[^]*complete -F _tyger tyger\n$/, ""],
    ["status", 1, "The stack is down.\ndata folder   $FOLDER\n", ""],
    [
      "down --purge",
      1,
      "",
      "Error: The jobs of this stack run on Docker, so there is no namespace to remove; nothing was changed\n",
    ],
    ["down --cancel", 1, "", "Error: Runs can only be canceled while the stack is up; nothing was changed\n"],
  ],

  "commands that are not there": [
    ["bogus", 1, "", `Error: unknown command "bogus" for "tyger"\nRun 'tyger --help' for usage.\n`],
    ["version", 1, "", `Error: unknown command "version" for "tyger"\nRun 'tyger --help' for usage.\n`],
    ["run bogus", 1, "", `Error: unknown command "bogus" for "tyger run"\nRun 'tyger run --help' for usage.\n`],
    ["Run show 7", 1, "", `Error: unknown command "Run" for "tyger"\nRun 'tyger --help' for usage.\n`],
    ["help bogus", 1, "", `Error: unknown command "bogus" for "tyger"\nRun 'tyger --help' for usage.\n`],
    ["help run bogus", 1, "", `Error: unknown command "bogus" for "tyger run"\nRun 'tyger run --help' for usage.\n`],
    ["constructor", 1, "", `Error: unknown command "constructor" for "tyger"\nRun 'tyger --help' for usage.\n`],
    ["''", 1, "", `Error: unknown command "" for "tyger"\nRun 'tyger --help' for usage.\n`],
    refused("run", "a command is required"),
    refused("codespecs", "a command is required"),
    refused("run --log-level trace", "a command is required"),
    refused("run -- show 7", "a command is required"),
    refused("-- run show 7", "a command is required"),
  ],

  "help and version": [
    ["", 0, HELP_OF("tyger"), ""],
    ["--help", 0, HELP_OF("tyger"), ""],
    ["help", 0, HELP_OF("tyger"), ""],
    ["--log-level debug", 0, HELP_OF("tyger"), ""],
    ["run -h", 0, HELP_OF("tyger run"), ""],
    ["help run exec", 0, HELP_OF("tyger run exec"), ""],
    ["run show --help", 0, HELP_OF("tyger run show"), ""],
    ["run show 7 -h", 0, HELP_OF("tyger run show"), ""],
    ["runs get --help", 0, HELP_OF("tyger run show"), ""],
    ["login status -h", 0, HELP_OF("tyger login status"), ""],
    ["run show 7 --help=false", 0, RUN, "", "GET /runs/7"],
    ["--version", 0, "tyger version 1.2.3\n", ""],
    ["-v", 0, "tyger version 1.2.3\n", ""],
    ["--log-level debug --version", 0, "tyger version 1.2.3\n", ""],
    refused("run --version", 'unknown flag: --version for "tyger run"'),
    refused("run exec -v", 'unknown flag: -v for "tyger run exec"'),
    refused("run show --version 7", 'unknown flag: --version for "tyger run show"'),
    refused("--version codespec show cat", 'the flag --version cannot be given with the command "codespec"'),
  ],

  "flags that are not there": [
    refused("run exec --timout 5", 'unknown flag: --timout for "tyger run exec"'),
    refused("run exec --no-pull", 'unknown flag: --no-pull for "tyger run exec"'),
    refused("--limit 5 run list", 'unknown flag: --limit for "tyger"'),
    refused("run list --Limit 5", 'unknown flag: --Limit for "tyger run list"'),
    refused("run list -limit 5", 'invalid value "imit" for the flag --limit: it must be a whole number'),
    refused("run list -x", 'unknown flag: -x for "tyger run list"'),
    refused("run list -5", 'unknown flag: -5 for "tyger run list"'),
    refused("run logs 7 -fx", 'unknown flag: -x in -fx for "tyger run logs"'),
    refused("run list --__proto__ x", 'unknown flag: --__proto__ for "tyger run list"'),
    refused("run list --constructor", 'unknown flag: --constructor for "tyger run list"'),
    refused("run show --id 7", 'unknown flag: --id for "tyger run show"'),
    refused("run list ---limit 5", 'unknown flag: ---limit for "tyger run list"'),
    refused("buffer gen -5", 'unknown flag: -5 for "tyger buffer gen"'),
  ],

  "all spellings of a flag's value": [
    lists("--limit 5", "limit=5"),
    lists("--limit=5", "limit=5"),
    lists("-l 5", "limit=5"),
    lists("-l=5", "limit=5"),
    lists("-l5", "limit=5"),
    lists("-l5 -l 6", "limit=6"),
    lists("--limit +5", "limit=5"),
    ["run list --limit 0", 0, "[]\n", "", "GET /runs?limit=0"],
    ["run list --limit -1", 1, "", "Error: InvalidInput: Limit must be a non-negative integer\n", "GET /runs?limit=-1"],
    ["run list -l -1", 1, "", "Error: InvalidInput: Limit must be a non-negative integer\n", "GET /runs?limit=-1"],
    refused("run list --limit", "the flag --limit needs a value"),
    refused("run list -l", "the flag -l needs a value"),
    invalid("run list --limit --", "limit", "--", "it must be a whole number"),
    invalid("run list --limit abc", "limit", "abc", "it must be a whole number"),
    invalid("run list --limit 1.5", "limit", "1.5", "it must be a whole number"),
    invalid("run list --limit=", "limit", "", "it must be a whole number"),
    invalid("run list --limit 9007199254740993", "limit", "9007199254740993", "it must be a whole number"),
    stores("c --input -foo", '"kind":"job","image":"","buffers":{"inputs":["-foo"]}'),
    stores("c --input --output", '"kind":"job","image":"","buffers":{"inputs":["--output"]}'),
    stores("c --input --help", '"kind":"job","image":"","buffers":{"inputs":["--help"]}'),
    stores("c -i -w=false", '"kind":"job","image":"","buffers":{"inputs":["-w=false"]}'),
    stores("c -h=false --image u", '"kind":"job","image":"u"'),
    stores("c -h=false -h=0 -- -h=1", '"kind":"job","image":"","args":["-h=1"]'),
    refused("run logs 7 -f=true=", 'invalid value "true=" for the flag --follow: it must be true or false'),
    refused("run logs 7 -=f", 'unknown flag: -= in -=f for "tyger run logs"'),
    refused("run logs 7 -xf", 'unknown flag: -x in -xf for "tyger run logs"'),
    [
      "run logs 7 -ff=true -s=now",
      0,
      LOG,
      "",
      `GET /runs/7/logs?follow=true&since=${AT.replaceAll(":", "%3A")}&timestamps=true`,
    ],
    ["run logs 7 -f", 0, LOG, "", "GET /runs/7/logs?follow=true&timestamps=true"],
    [
      "run logs 7 -fs now --tail 0",
      0,
      LOG,
      "",
      `GET /runs/7/logs?follow=true&since=${AT.replaceAll(":", "%3A")}&tailLines=0&timestamps=true`,
    ],
    ["buffer show b1 --soft-deleted", 0, BUFFER, "", "GET /buffers/b1?softDeleted=true"],
    ["buffer show --soft-deleted b1", 0, BUFFER, "", "GET /buffers/b1?softDeleted=true"],
    ["buffer show b1 --soft-deleted=FALSE", 0, BUFFER, "", "GET /buffers/b1"],
    invalid("buffer show b1 --soft-deleted=maybe", "soft-deleted", "maybe", "it must be true or false"),
    refused("run exec --logs false", 'unexpected argument "false" for "tyger run exec"'),
  ],

  maps: [
    lists("--tag a=1 --tag b=2,c=3", "limit=1001&tag[a]=1&tag[b]=2&tag[c]=3"),
    lists("--tag a=1 --tag a=2", "limit=1001&tag[a]=2"),
    lists("--tag a=1,2", "limit=1001&tag[a]=1%2C2"),
    lists("--tag a=b=c", "limit=1001&tag[a]=b%3Dc"),
    lists("--tag a=b=c,d=e", "limit=1001&tag[a]=b%3Dc&tag[d]=e"),
    lists("--tag a=", "limit=1001&tag[a]="),
    lists(`--tag 'a=1,"b=2,3"'`, "limit=1001&tag[a]=1&tag[b]=2%2C3"),
    lists("--tag __proto__=1", "limit=1001&tag[__proto__]=1"),
    lists("--tag 'a b=ü &'", "limit=1001&tag[a+b]=%C3%BC+%26"),
    invalid("run list --tag a", "tag", "a", "'a' is not in the form key=value"),
    invalid("run list --tag ''", "tag", "", "'' is not in the form key=value"),
    invalid("run list --tag a=1,b,c=2", "tag", "a=1,b,c=2", "'b' is not in the form key=value"),
    invalid(`run list --tag 'a=1,"b=2'`, "tag", 'a=1,"b=2', `unbalanced quotes in 'a=1,"b=2'`),
    invalid("run create -c cat -b b1", "buffer", "b1", "'b1' is not in the form key=value"),
    stores("c -k worker --endpoint a=1", '"kind":"worker","image":"","endpoints":{"a":1}'),
    stores("c -k worker --endpoint a=1,b=2", '"kind":"worker","image":"","endpoints":{"a":1,"b":2}'),
    invalid("codespec create c --endpoint a", "endpoint", "a", "'a' is not in the form key=value"),
    invalid("codespec create c --endpoint a=1,2", "endpoint", "a=1,2", "'2' is not in the form key=value"),
  ],

  lists: [
    lists("--status succeeded --status running,failed", "limit=1001&status=succeeded&status=running&status=failed"),
    lists("--status ''", "limit=1001"),
    lists("--status CANCELING", "limit=1001&status=CANCELING"),
    invalid("run list --status succeded", "status", "succeded", `'succeded' is not one of ${RUN_STATUSES.join(", ")}`),
    invalid("run list --status failed,", "status", "failed,", `'' is not one of ${RUN_STATUSES.join(", ")}`),
    stores("c -i a,b -i c", '"kind":"job","image":"","buffers":{"inputs":["a","b","c"]}'),
    stores(`c -i '"a,b",c'`, '"kind":"job","image":"","buffers":{"inputs":["a,b","c"]}'),
    invalid(`codespec create c -i '"a'`, "input", '"a', `unbalanced quotes in '"a'`),
  ],

  "global flags, anywhere before --": [
    ["--log-level trace run show 7", 0, RUN, /^.* TRC Sending request method=GET [^]*Request-Id: /, "GET /runs/7"],
    ["run --log-level TRACE show 7", 0, RUN, /^.* TRC Sending request method=GET [^]*Request-Id: /, "GET /runs/7"],
    ["run show 7 --log-level=trace", 0, RUN, /^.* TRC Sending request method=GET [^]*Request-Id: /, "GET /runs/7"],
    ["run show 7 --log-level trace --log-format JSON", 0, RUN, /^(\{"level":"trace",.*\}\n)+$/, "GET /runs/7"],
    ["run show 7 --log-format pretty --log-level error", 0, RUN, "", "GET /runs/7"],
    ["--baggage a=1 run --baggage b=2 show 7", 0, RUN, "", "GET /runs/7"],
    ["--proxy none run show 7", 0, RUN, "", "GET /runs/7"],
    invalid("run show 7 --log-level loud", "log-level", "loud", "it must be one of trace, debug, info, warn, error"),
    invalid("run show 7 --log-format xml", "log-format", "xml", "it must be one of pretty, plain, json"),
    invalid("run show 7 --proxy nonsense", "proxy", "nonsense", "it must be auto, none, a URL, or host:port"),
    invalid("run show 7 --baggage a", "baggage", "a", "'a' is not in the form key=value"),
    refused("run show 7 --baggage 'a b=1'", "the baggage key 'a b' may contain only HTTP token characters"),
    refused("run show 7 --baggage €=1", "the baggage key '€' may contain only HTTP token characters"),
    refused("run show 7 -- --log-level trace", 'unexpected argument "--log-level" for "tyger run show"'),
  ],

  "arguments, and what follows --": [
    refused("run show", 'the argument ID of "tyger run show" is missing'),
    refused("run show ''", 'the argument ID of "tyger run show" is empty'),
    refused("run show .", "'.' is not a valid id or name"),
    refused("codespec show .. --version 1", "'..' is not a valid id or name"),
    refused("buffer read", 'the argument SOURCE of "tyger buffer read" is missing'),
    refused("buffer write ''", 'the argument TARGET of "tyger buffer write" is empty'),
    refused("completion", 'the argument SHELL of "tyger completion" is missing'),
    refused("run show 7 8", 'unexpected argument "8" for "tyger run show"'),
    refused("run show 7 -- 8", 'unexpected argument "8" for "tyger run show"'),
    refused("run create surplus", 'unexpected argument "surplus" for "tyger run create"'),
    refused("run exec surplus -c x", 'unexpected argument "surplus" for "tyger run exec"'),
    refused("codespec list surplus", 'unexpected argument "surplus" for "tyger codespec list"'),
    refused("codespec create a b", 'unexpected argument "b" for "tyger codespec create"'),
    refused("buffer access b1 b2", 'unexpected argument "b2" for "tyger buffer access"'),
    refused("login a b", 'unexpected argument "b" for "tyger login"'),
    refused("login status surplus", 'unexpected argument "surplus" for "tyger login status"'),
    refused("logout surplus", 'unexpected argument "surplus" for "tyger logout"'),
    refused("up surplus", 'unexpected argument "surplus" for "tyger up"'),
    ["up --context c", 1, "", "Error: --context requires --kubeconfig\n"],
    ["up --namespace n", 1, "", "Error: --namespace requires --kubeconfig\n"],
    ["up --kubeconfig k --docker", 1, "", "Error: --docker cannot be combined with --kubeconfig\n"],
    refused("down surplus", 'unexpected argument "surplus" for "tyger down"'),
    refused("status surplus", 'unexpected argument "surplus" for "tyger status"'),
    lists("all of them", "limit=1001"),
    ["run counts surplus --tag a=b", 0, /^\{/, "", "GET /runs/counts?tag[a]=b"],
    ["buffer create surplus --tag a=b", 0, "buffer1\n", "", 'POST /buffers {"tags":{"a":"b"}}'],
    ["run show -- -7", 1, "", "Error: NotFound: The resource was not found\n", "GET /runs/-7"],
    ["run show -", 1, "", "Error: NotFound: The resource was not found\n", "GET /runs/-"],
    ["run show 'a b/c?d'", 1, "", "Error: NotFound: The resource was not found\n", "GET /runs/a%20b%2Fc%3Fd"],
    refused("completion csh", "no completion for the shell 'csh'; use one of bash, zsh, fish, powershell"),
  ],

  codespec: [
    stores(
      "c --image ubuntu -i in -o out -e A=1 --cpu-limit 500m --gpu 1 -r2 --identity me",
      '"kind":"job","image":"ubuntu","maxReplicas":2,"buffers":{"inputs":["in"],"outputs":["out"]},"env":{"A":"1"},' +
        '"identity":"me","resources":{"limits":{"cpu":"500m"},"gpu":"1"}',
    ),
    stores("c --image u -- -x --limit 5", '"kind":"job","image":"u","args":["-x","--limit","5"]'),
    stores("c --image u --command -- sh -c --limit", '"kind":"job","image":"u","command":["sh","-c","--limit"]'),
    stores("c --image u -- -- a", '"kind":"job","image":"u","args":["--","a"]'),
    stores("c -kWORKER --image u", '"kind":"worker","image":"u"'),
    stores(
      "-f $FOLDER/codespec.yml --kind job --image b -e C=3 --cpu-limit 2 --endpoint web=80 -- y z",
      '"kind":"worker","image":"b","env":{"C":"3"},"resources":{"limits":{"cpu":"2","memory":"1Gi"}},"args":["y","z"],' +
        '"endpoints":{"web":80}',
    ),
    stores(
      "c -f $FOLDER/job.yml -i a,b",
      '"image":"a","buffers":{"inputs":["a","b"],"outputs":["y"]},"endpoints":{},"kind":"job"',
    ),
    ["codespec show cat --version 3", 0, CODESPEC, "", "GET /codespecs/cat/versions/3"],
    ["codespec show --version=3 cat", 0, CODESPEC, "", "GET /codespecs/cat/versions/3"],
    ["codespec list -p pre -l 1", 0, /^\[\n {2}\{\n {4}"kind": "job",/, "", "GET /codespecs?limit=1&prefix=pre"],
    ["codespec list -o NAME", 0, "cat\ntwin\n", "", "GET /codespecs?limit=1001"],
    invalid("codespec list -o csv", "output", "csv", "it must be one of json, table, wide, name, yaml"),
    refused("codespec create --image x", "a codespec name is required, as an argument or in the file"),
    refused(
      "codespec create Bad --image x",
      "the codespec name 'Bad' may contain only lowercase letters, digits, '-', '.', and '_'",
    ),
    invalid("codespec create c --cpu-limit much", "cpu-limit", "much", "The quantity 'much' is not valid"),
    invalid("codespec create c --max-replicas many", "max-replicas", "many", "it must be a whole number"),
    invalid("codespec create c --kind gang", "kind", "gang", "it must be one of job, worker"),
    refused("codespec create -f a -f b", "the flag --file can be given only once"),
    refused("codespec create -f -", "the file '-', line 1: a map is expected"),
    refused("codespec create -f $FOLDER/strange.yml", "the codespec kind must be job or worker, not 'gang'"),
    refused("codespec create c --endpoint a=1", "a job codespec cannot have endpoints"),
    refused("codespec create c -k worker -i in", "a worker codespec cannot have buffers"),
    refused(
      "codespec create c -k worker --endpoint a=99999",
      "the port of the endpoint 'a' must be a number from 1 to 65535, not '99999'",
    ),
    refused(
      "codespec create c -k worker --endpoint a=http",
      "the port of the endpoint 'a' must be a number from 1 to 65535, not 'http'",
    ),
  ],

  buffer: [
    ["buffer create", 0, "buffer1\n", "", "POST /buffers {}"],
    ["buffer create --ttl 1.02:03:04", 0, "buffer1\n", "", 'POST /buffers {"expiresAt":"2026-11-23T23:40:41.503Z"}'],
    ["buffer create --ttl ' 1.02 '", 0, "buffer1\n", "", 'POST /buffers {"expiresAt":"2026-11-23T23:37:37.503Z"}'],
    ["buffer create --ttl 0", 0, "buffer1\n", "", `POST /buffers {"expiresAt":"${AT}"}`],
    [
      "buffer create --location local --full-resource",
      0,
      '{\n  "id": "buffer1",\n  "location": "local"\n}\n',
      "",
      'POST /buffers {"location":"local"}',
    ],
    invalid("buffer create --ttl 1.2", "ttl", "1.2", "use the form D, D.HH, D.HH:MM, or D.HH:MM:SS"),
    invalid("buffer create --ttl 1.24", "ttl", "1.24", "use the form D, D.HH, D.HH:MM, or D.HH:MM:SS"),
    invalid("buffer create --ttl 1.00:60", "ttl", "1.00:60", "use the form D, D.HH, D.HH:MM, or D.HH:MM:SS"),
    invalid("buffer create --ttl -1", "ttl", "-1", "use the form D, D.HH, D.HH:MM, or D.HH:MM:SS"),
    invalid("buffer create --ttl 99999999", "ttl", "99999999", "the time to live is too long"),
    [
      "buffer access b1",
      0,
      /^http\+unix:\/\/.*:\/containers\/b1\?sig=x\n$/,
      "",
      "POST /buffers/b1/access?writeable=false",
    ],
    ["buffer access -w b1", 0, /^http/, "", "POST /buffers/b1/access?writeable=true"],
    ["buffer access b1 -w=false", 0, /^http/, "", "POST /buffers/b1/access?writeable=false"],
    [
      "buffer access b1 --access-ttl 0.00:01",
      0,
      /^http/,
      "",
      "POST /buffers/b1/access?ttl=0.00%3A01%3A00&writeable=false",
    ],
    [
      "buffer read b1",
      0,
      "some bytes",
      /^.* INF Transfer starting buffer=b1 operation="buffer read"\n.* INF Transfer complete avg.* totalCompletedData=10B\n$/,
      "POST /buffers/b1/access?writeable=false",
    ],
    ["buffer read $FOLDER/url.txt -p1", 0, "some bytes", / INF Transfer complete /],
    [
      "buffer write b2 -b 1.5KiB -f 500ms -p4",
      0,
      "",
      /^.* INF Transfer starting buffer=b2 operation="buffer write"\n.* INF Transfer complete avg.* totalCompletedData=5B\n$/,
      "POST /buffers/b2/access?writeable=true",
    ],
    [
      "buffer write -i $FOLDER/data.txt b2 -f 0",
      0,
      "",
      / INF Transfer complete .* totalCompletedData=15B\n$/,
      "POST /buffers/b2/access?writeable=true",
    ],
    [
      "buffer write b2 -i $FOLDER/none",
      1,
      "",
      `${AT} INF Transfer starting buffer=b2 operation="buffer write"\n` +
        `${AT} FTL Failed to write buffer error="the file '$FOLDER/none' cannot be read: there is no such file" buffer=b2\n`,
    ],
    [
      "buffer write b2 -i $FOLDER",
      1,
      "",
      `${AT} INF Transfer starting buffer=b2 operation="buffer write"\n` +
        `${AT} FTL Failed to write buffer error="the file '$FOLDER' cannot be read: it is a folder" buffer=b2\n`,
    ],
    [
      "buffer read b1 -o $FOLDER/none/out",
      1,
      "",
      `${AT} INF Transfer starting buffer=b1 operation="buffer read"\n` +
        `${AT} FTL Failed to read buffer error="the file '$FOLDER/none/out' cannot be written: its folder does not exist" buffer=b1\n`,
    ],
    refused("buffer read http://h/c?sig=x --access-ttl 1", "--access-ttl requires a buffer id"),
    refused("buffer write b2 --dop 0", "--dop must be at least 1, not '0'"),
    refused("buffer read b1 -p -1", "--dop must be at least 1, not '-1'"),
    invalid("buffer write b2 --block-size 0", "block-size", "0", "it must be at least one byte"),
    invalid("buffer write b2 -b 1X", "block-size", "1X", "use a size such as 4096, 4M, or 1.5GiB"),
    invalid(
      "buffer write b2 --flush-interval 5",
      "flush-interval",
      "5",
      "The duration '5' is not of a form like '300s', '1.5h' or '2h45m'",
    ),
    invalid("buffer write b2 -f -1s", "flush-interval", "-1s", "it must not be negative"),
    refused("buffer read b1 -o a --output b", "the flag --output can be given only once"),
    refused("buffer write b1 -i a -i b", "the flag --input can be given only once"),
    ["buffer gen 10", 0, ":;<=>?@ABC", ""],
    ["buffer gen .5K -o $FOLDER/gen", 0, "", ""],
    ["buffer gen 0", 0, "", ""],
    refused("buffer gen 1X", "invalid size '1X': use a size such as 4096, 4M, or 1.5GiB"),
    refused("buffer gen -- -5", "invalid size '-5': use a size such as 4096, 4M, or 1.5GiB"),
    refused("buffer gen 10 -o $FOLDER", "the file '$FOLDER' cannot be written: it is a folder"),
  ],

  "run create": [
    creates("-c cat", '{"job":{"codespec":"cat"}}'),
    creates("-c cat --version 2 -r 0", '{"job":{"codespec":"cat/versions/2","replicas":0}}'),
    creates(
      "-c cat/versions/2 -b in=x -b out=y",
      '{"job":{"codespec":"cat/versions/2","buffers":{"in":"x","out":"y"}}}',
    ),
    creates("-c cat --timeout 1h30m", '{"job":{"codespec":"cat"},"timeoutSeconds":5400}'),
    creates("-c cat --timeout 1.5h", '{"job":{"codespec":"cat"},"timeoutSeconds":5400}'),
    creates("-c cat --buffer-ttl 0.00:05", '{"job":{"codespec":"cat","bufferTtl":"0.00:05"}}'),
    creates(
      "-f $FOLDER/run.yml -b in=b2,out=b3 --buffer-tag u=2 --tag l=2 --timeout 1m --cluster c --buffer-access-ttl 0.01",
      '{"job":{"codespec":"cat","buffers":{"in":"b2","out":"b3"},"tags":{"t":"1","u":"2"},"nodePool":"p"},' +
        '"cluster":"c","timeoutSeconds":60,"tags":{"k":"1","l":"2"},"bufferAccessTtl":"0.01:00:00"}',
    ),
    creates("-f $FOLDER/inline.yml", '{"job":{"codespec":{"image":"ubuntu","command":["echo","1"],"kind":"job"}}}'),
    creates("-f $FOLDER/inline.yml -c cat", '{"job":{"codespec":"cat"}}'),
    creates(
      "-c cat --worker-codespec w --worker-version 3 --worker-replicas 2 --worker-node-pool p",
      '{"job":{"codespec":"cat"},"worker":{"codespec":"w/versions/3","nodePool":"p","replicas":2}}',
    ),
    [
      "run create -c none",
      1,
      "",
      'Error: InvalidInput: The codespec "none" was not found\n',
      'POST /runs {"job":{"codespec":"none"}}',
    ],
    refused("run create", "a codespec is required: use --codespec, or job.codespec in the file"),
    refused("run create --version 3", "--version requires --codespec"),
    refused("run create -c cat --worker-version 3", "--worker-version requires --worker-codespec"),
    refused("run create -c cat --worker-replicas 2", "a worker needs a codespec: use --worker-codespec"),
    invalid(
      "run create -c cat --timeout 10",
      "timeout",
      "10",
      "The duration '10' is not of a form like '300s', '1.5h' or '2h45m'",
    ),
    invalid("run create -c cat --timeout 500ms", "timeout", "500ms", "it must be at least one second"),
    invalid(
      "run create -c cat --timeout 9999999h",
      "timeout",
      "9999999h",
      "The duration '9999999h' is too long; the maximum is 292 years (2562047h)",
    ),
    invalid("run create -c cat --timeout 600000h", "timeout", "600000h", "it must be at most 68 years (596523h)"),
    creates("-c cat --timeout 596523h", '{"job":{"codespec":"cat"},"timeoutSeconds":2147482800}'),
    invalid("run create -c cat --timeout -5m", "timeout", "-5m", "it must be at least one second"),
    invalid("run create -c cat --buffer-ttl 5", "buffer-ttl", "5", "use the form D.HH:MM or D.HH:MM:SS"),
    refused("run create -f $FOLDER/run.yml --file $FOLDER/inline.yml", "the flag --file can be given only once"),
    refused("run create -f -", "the file '-', line 1: a map is expected"),
    refused("run create -f $FOLDER/none.yml", "the file '$FOLDER/none.yml' cannot be read: there is no such file"),
    refused(
      "run create -f $FOLDER/unknown.yml",
      "the file '$FOLDER/unknown.yml', line 3: unknown field 'replica' in 'job'",
    ),
    ["run create -f $FOLDER/broken.yml", 1, "", /^Error: the file '.*\/broken.yml' is not valid YAML: line \d: .*\n$/],
  ],

  "run exec": [
    ["run exec -c cat", 0, "stdin", EXECUTED, ...EXEC_REQUESTS, 'POST /runs {"job":{"codespec":"cat"}}'],
    [
      "run exec -c cat --block-size 1K --write-dop 2 --read-dop=1 -r1",
      0,
      "stdin",
      EXECUTED,
      ...EXEC_REQUESTS,
      'POST /runs {"job":{"codespec":"cat","replicas":1}}',
    ],
    [
      "run exec -f $FOLDER/inline.yml",
      0,
      "",
      EXECUTED,
      "GET /runs/7?watch=true",
      'POST /runs {"job":{"codespec":{"image":"ubuntu","command":["echo","1"],"kind":"job"}}}',
    ],
    [
      "run exec -c twin",
      1,
      "",
      "Error: stdin can feed only one input; use --buffer for all but one of 'left', 'right'\n",
      "GET /codespecs/twin",
    ],
    [
      "run exec -c none",
      1,
      "",
      "Error: NotFound: The codespec 'none' was not found; 'tyger codespec list' shows the existing ones\n",
      "GET /codespecs/none",
    ],
    ["run exec -c cat/versions/9/x", 1, "", "Error: the codespec name 'cat/versions/9/x' is not valid\n"],
    refused("run exec -f a -f b", "the flag --file can be given only once"),
    refused("run exec", "a codespec is required: use --codespec, or job.codespec in the file"),
    refused("run exec -c cat --read-dop 0", "--read-dop must be at least 1, not '0'"),
    invalid("run exec -c cat --block-size big", "block-size", "big", "use a size such as 4096, 4M, or 1.5GiB"),
  ],

  "run list and run logs": [
    lists("-s 2024-01-01T00:00:00.123456789Z", "limit=1001&since=2024-01-01T00%3A00%3A00.123456789Z"),
    lists("--since yesterday", "limit=1001&since=2026-11-21T00%3A00%3A00Z"),
    lists("--since '2 hours ago'", "limit=1001&since=2026-11-22T19%3A37%3A37.503Z"),
    lists("--since '-2 hours'", "limit=1001&since=2026-11-22T19%3A37%3A37.503Z"),
    lists("--since 01/25/2024", "limit=1001&since=2024-01-25T00%3A00%3A00Z"),
    lists("--since '2024-01-25 18:20'", "limit=1001&since=2024-01-25T18%3A20%3A00Z"),
    ["run list -o name", 0, "7\n", "", "GET /runs?limit=1001"],
    [
      "run list -oyaml",
      0,
      "- id: 7\n  status: Succeeded\n  createdAt: 2024-01-25T18:20:49.1Z\n",
      "",
      "GET /runs?limit=1001",
    ],
    [
      "run list -o table",
      0,
      "ID   STATUS      IMAGE   AGE       DURATION\n7    Succeeded   -       1032d3h   -\n",
      "",
      "GET /runs?limit=1001",
    ],
    refused("run list --since whenever", "failed to parse time whenever"),
    refused("run list --since 2024-02-30", "failed to parse time 2024-02-30"),
    invalid("run list -ocsv", "output", "csv", "it must be one of json, table, wide, name, yaml"),
    ["run logs 7", 0, LOG, "", "GET /runs/7/logs"],
    ["run logs 7 --tail 0 --timestamps", 0, LOG, "", "GET /runs/7/logs?tailLines=0&timestamps=true"],
    refused("run logs 7 --since ''", "failed to parse time"),
    refused("run logs --follow", 'the argument ID of "tyger run logs" is missing'),
  ],

  login: [
    ["login unix://$SOCKET", 0, "", "", "GET /metadata"],
    ["login --proxy http://p:1 http+unix://$SOCKET:", 0, "", "", "GET /metadata"],
    ["login --file $FOLDER/login.yml", 0, "", "", "GET /metadata"],
    ["login unix://$SOCKET -f $FOLDER/none.yml", 0, "", "", "GET /metadata"],
    ["login --local --proxy=auto", 0, "", "", "GET /metadata"],
    ["login status --format JSON", 0, /^\{\n {2}"serverUrl": "unix:.*",\n {2}"metadata": \{\n/, "", "GET /metadata"],
    invalid("login status --format xml", "format", "xml", "it must be one of text, json"),
    refused("login", "a server URL, --file or --local is required"),
    refused("login nonsense", "'nonsense' is not an absolute server URL"),
    refused("login ''", "'' is not an absolute server URL"),
    refused("login http://h?x=1", "the server URL 'http://h?x=1' may contain only a host, a port, and a path"),
    refused("login ssh://host", "servers behind 'ssh://' are not supported; use http://, https:// or unix://"),
    refused("login --local http://h", "--local cannot be combined with a URL or --file"),
    refused("login --local -f $FOLDER/login.yml", "--local cannot be combined with a URL or --file"),
    refused("login --local status", "--local cannot be combined with a URL or --file"),
    invalid("login --proxy p http://h", "proxy", "p", "it must be auto, none, a URL, or host:port"),
    refused("login -f $FOLDER/login-empty.yml", "the file '$FOLDER/login-empty.yml' has no serverUrl"),
    refused(
      "login -f $FOLDER/login-proxy.yml",
      "invalid proxy 'nonsense' in the file '$FOLDER/login-proxy.yml': it must be auto, none, a URL, or host:port",
    ),
    refused("login -f $FOLDER/login.yml -f $FOLDER/login.yml", "the flag --file can be given only once"),
    refused("login -f $FOLDER/run.yml", "the file '$FOLDER/run.yml', line 1: unknown field 'job'"),
    [
      "login unix://$FOLDER/none.sock",
      1,
      "",
      /^Error: cannot reach the server at unix:\/\/.*\/none\.sock: there is no such socket; is it running\? .*\n$/,
    ],
  ],
};

/** Lines that need a login, without one. */
export const LINES_WITHOUT_LOGIN: readonly ArgumentLine[] = [
  "run show 7",
  "run list",
  "run counts",
  "run cancel 7",
  "run logs 7",
  "run watch 7",
  "run create -c cat",
  "run exec -c cat",
  "buffer create",
  "buffer show b1",
  "buffer access b1",
  "buffer read b1",
  "buffer write b1",
  "codespec list",
  "codespec show cat",
  "codespec create c --image x",
  "login status",
].map((line): ArgumentLine => [line, 1, "", NO_LOGIN]);
