/**
 * The YAML library for those who load it only when they need it: in the bundle, a CommonJS package that is imported at run
 * time has no named exports, and this module, which names them, has.
 */
export { parse as parseYamlText, stringify as yamlTextOf } from "yaml";
