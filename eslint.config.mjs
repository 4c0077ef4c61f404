import { builtinModules } from "node:module";
import { defineConfig, globalIgnores } from "eslint/config";
import tseslint from "typescript-eslint";

/** An exception to a rule is worth a reason: `// eslint-disable-next-line rule -- why`. */
const disableNeedsReason = {
  meta: { type: "suggestion", schema: [], messages: { missing: "Say why after `--`." } },
  create: ({ sourceCode, report }) => ({
    Program() {
      for (const { type, node, justification } of sourceCode.getDisableDirectives().directives)
        if (type !== "enable" && !justification) report({ loc: node.loc, messageId: "missing" });
    },
  }),
};

const bareBuiltins = builtinModules
  .filter((name) => !name.startsWith("_") && !name.startsWith("node:"))
  .map((name) => ({ name, message: `Write "node:${name}".` }));

export default defineConfig(
  globalIgnores(["**/dist/", "**/coverage/", "**/gen/", "**/golden/", "**/.tmp/"]),
  // A project of its own, compiled where the packed packages are installed.
  globalIgnores(["scripts/pack-smoke/"]),
  { linterOptions: { reportUnusedDisableDirectives: "error" } },
  {
    files: ["**/*.{ts,mjs,cjs,js}"],
    plugins: { house: { rules: { "disable-needs-reason": disableNeedsReason } } },
    rules: {
      // Slips that the compiler does not see.
      eqeqeq: "error",
      "no-cond-assign": "error",
      "no-constant-binary-expression": "error",
      "no-constructor-return": "error",
      "no-debugger": "error",
      "no-dupe-else-if": "error",
      "no-empty": "error",
      "no-loss-of-precision": "error",
      "no-misleading-character-class": "error",
      "no-prototype-builtins": "error",
      "no-self-assign": "error",
      "no-self-compare": "error",
      "no-shadow-restricted-names": "error",
      "no-template-curly-in-string": "error",
      "no-unsafe-finally": "error",
      "no-unsafe-optional-chaining": "error",
      "no-useless-escape": "error",
      "no-useless-return": "error",
      "object-shorthand": "error",
      "require-yield": "error",
      "use-isnan": "error",
      // House style.
      "house/disable-needs-reason": "error",
      "no-restricted-imports": ["error", { paths: bareBuiltins }],
      "no-restricted-syntax": [
        "error",
        { selector: "ExportDefaultDeclaration", message: "Export by name, so that it is called the same everywhere." },
        {
          selector: 'TSNonNullExpression:not([expression.type="MemberExpression"][expression.computed=true])',
          message: "Check for undefined instead; `!` is for an index that is known to be in bounds.",
        },
      ],
    },
  },
  {
    files: ["**/*.ts"],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { project: "tsconfig.test.json", tsconfigRootDir: import.meta.dirname } },
    rules: {
      // Numbers print as one expects; what does not (objects, undefined) stays an error.
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      // `() => log(x)` and `return fail(x)` are short for two lines and hide nothing: their result is typed void.
      "@typescript-eslint/no-confusing-void-expression": [
        "error",
        { ignoreArrowShorthand: true, ignoreVoidReturningFunctions: true },
      ],
      // The rule takes state for unchanged across calls and awaits, where looking again is just what a call has to do,
      // and takes callers for typed, where limits and options are checked for those who write JavaScript.
      "@typescript-eslint/no-unnecessary-condition": "off",
      // `list[index]!` says that the index is in bounds, which noUncheckedIndexedAccess cannot see. Other uses of `!`
      // are refused by no-restricted-syntax above.
      "@typescript-eslint/no-non-null-assertion": "off",
      // A class may exist for what its decorators say about it.
      "@typescript-eslint/no-extraneous-class": ["error", { allowWithDecorator: true }],
      // An AbortSignal's reason is whatever its owner chose, and is passed on as it came.
      "@typescript-eslint/only-throw-error": ["error", { allowThrowingAny: true, allowThrowingUnknown: true }],
      "@typescript-eslint/prefer-promise-reject-errors": [
        "error",
        { allowThrowingAny: true, allowThrowingUnknown: true },
      ],
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
    },
  },
  {
    // The one file that reaches into ts-proto, whose inner modules come without types.
    files: ["codegen/src/ts-proto.ts"],
    rules: Object.fromEntries(
      ["argument", "assignment", "call", "member-access", "return"].map((what) => [
        `@typescript-eslint/no-unsafe-${what}`,
        "off",
      ]),
    ),
  },
  {
    // Budgets: a file and a function that fit in a reader's head.
    files: ["**/src/**/*.ts"],
    rules: {
      "max-lines": ["error", { max: 300, skipBlankLines: false, skipComments: false }],
      "max-lines-per-function": ["error", { max: 60, skipBlankLines: false, skipComments: false }],
    },
  },
  {
    // A library speaks through its errors and callbacks; what is printed is the application's choice.
    files: ["packages/core/src/**/*.ts", "packages/zeromq/src/**/*.ts"],
    rules: { "no-console": "error" },
  },
  {
    files: ["**/test/**/*.ts"],
    rules: {
      // Handlers under test are async because their contract is, not because they wait.
      "@typescript-eslint/require-await": "off",
      // `expect(stub.method)` takes a method to look at it, not to call it.
      "@typescript-eslint/unbound-method": "off",
      // In a test, a value that is not there fails the test, with a stack.
      "no-restricted-syntax": "off",
    },
  },
  {
    // Tools find their configuration as the default export.
    files: ["*.config.mjs"],
    rules: { "no-restricted-syntax": "off" },
  },
);
