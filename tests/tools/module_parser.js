// module_parser.js FILE...: Particle's own parser and `vphoton module show --json` must say the
// same of each file. Wants the parser (npm: binary-version-reader) in NODE_PATH.
const assert = require('assert');
const { execFileSync } = require('child_process');
const { HalModuleParser } = require('binary-version-reader');

const parser = new HalModuleParser();

async function compare(file) {
    const theirs = await parser.parseFile(file);
    delete theirs.fileBuffer;
    const ours = JSON.parse(execFileSync(process.env.VPHOTON, ['module', 'show', '--json', file]));
    assert.deepStrictEqual(ours, theirs, file);
}

async function main() {
    const files = process.argv.slice(2);
    for (const file of files) {
        await compare(file);
    }
    console.log(`${files.length} files compared`);
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});
