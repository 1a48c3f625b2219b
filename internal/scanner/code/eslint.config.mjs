// The rules are ours: a repository's own configuration is a program, and would run.
import { createRequire } from "node:module";
import { realpathSync } from "node:fs";

// The plugins are beside eslint itself, not beside this file.
const need = createRequire(realpathSync(process.argv[1]));
const typescript = need("@typescript-eslint/parser");
const espree = need("espree");

// Old scripts are not strict: they have octal numbers, "with", a return at the top.
const parser = {
  meta: { name: "typescript-or-script", version: "1.0.0" },
  parseForESLint(code, options) {
    try {
      return typescript.parseForESLint(code, { ...options, warnOnUnsupportedTypeScriptVersion: false });
    } catch (first) {
      for (const sourceType of ["script", "commonjs"]) {
        try {
          return { ast: espree.parse(code, { ...options, sourceType, ecmaVersion: "latest" }) };
        } catch {
          // The first parser's error is the one to tell.
        }
      }
      throw first;
    }
  },
};

export default [
  {
    files: ["**/*.{js,cjs,mjs,jsx,ts,cts,mts,tsx}"],
    plugins: { security: need("eslint-plugin-security"), "no-unsanitized": need("eslint-plugin-no-unsanitized") },
    linterOptions: { noInlineConfig: true, reportUnusedDisableDirectives: "off" },
    languageOptions: {
      parser,
      parserOptions: { ecmaFeatures: { jsx: true } },
      // no-implied-eval looks at these alone.
      globals: Object.fromEntries(["setTimeout", "setInterval", "setImmediate", "execScript", "window", "self", "global"].map((name) => [name, "readonly"])),
    },
    rules: {},
  },
];
