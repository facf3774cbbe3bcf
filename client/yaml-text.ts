/** In the bundle a CommonJS package that is imported at run time has no named exports; this module gives it one. */
export { parse as parseYamlText } from "yaml";
