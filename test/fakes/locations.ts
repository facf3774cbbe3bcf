import { LOCAL, type LocationNames } from "../../model/buffer/location.ts";
import type { LogLocations } from "../../model/ports/log.ts";
import type { ObjectStore } from "../../model/ports/objects.ts";
import type { BufferStore, BufferStores } from "../../model/ports/store.ts";

/** The logs of a server with one location. */
export const logsIn = (objects: ObjectStore): LogLocations => ({
  default: LOCAL,
  objectsAt: () => objects,
  used: async () => [LOCAL],
});

/** The stores of a server in which all locations are one. */
export const storesIn = (store: BufferStore, locations: LocationNames = [LOCAL]): BufferStores => ({
  ...store,
  locations,
  at: () => store,
});
