import { describe, expect, test } from "vitest";
import type { Run } from "../../model/run/run.ts";
import { chooseCluster, withShownCluster, type Clusters } from "../../runs/clusters.ts";

type Given = Clusters<{ name: string }>;
const several: Given = { all: [{ name: "east" }, { name: "west" }], areShown: true };
const sole: Given = { all: [{ name: "east" }], areShown: false };

describe("the cluster of a new run", () => {
  test.each<[string, Given, string | undefined, string]>([
    ["of several, the first is the default", several, undefined, "east"],
    ["of several, an empty name is the default", several, "", "east"],
    ["of several, the named one", several, "west", "west"],
    ["of several, in any case", several, "WeSt", "west"],
    ["of one that is not shown, a known name is ignored", sole, "east", "east"],
    ["of one that is not shown, any name is ignored", sole, "elsewhere", "east"],
    ["of one that is shown, its name", { ...sole, areShown: true }, "EAST", "east"],
  ])("%s", (_rule, clusters, requested, chosen) => {
    expect(chooseCluster(clusters, requested).name).toBe(chosen);
  });

  test.each(["north", "eas", "east ", "toString"])("of several, '%s' is refused with the known names", (requested) => {
    expect(() => chooseCluster(several, requested)).toThrow(
      expect.objectContaining({
        code: "InvalidInput",
        message: `Unknown cluster '${requested}'; this server has 'east', 'west'`,
      }),
    );
  });
});

test.each<[Given, object]>([
  [several, { id: 1, cluster: "west" }],
  [sole, { id: 1 }],
])("a run is shown with its cluster where clients choose it", (clusters, shown) => {
  expect(withShownCluster(clusters, { id: 1, cluster: "west" } as Run)).toEqual(shown);
});
