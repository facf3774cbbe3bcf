/**
 * The YAML library for modules that load it on demand: in the bundle, a CommonJS package that is imported at run
 * time has no named exports, and this module, which names them, has.
 */
export { parse as parseYamlText, stringify as yamlTextOf } from "yaml";
