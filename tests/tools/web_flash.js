// Drives the flasher page of tests/tools/web in Debian's Chromium as a user would, and prints its
// board and its log. NODE_PATH has playwright-core and webdfu.
//
// usage: web_flash.js FILE ADDRESS SERIALS SANDBOX [SCREENSHOT]
//
// SERIALS are those of the board, in DFU mode and when it runs, with a comma between them. SANDBOX is
// true or false: whether Chromium can have its own.
"use strict";

const fs = require("fs");
const http = require("http");
const path = require("path");
const { chromium } = require("playwright-core");

const [file, address, serials, sandbox, screenshot] = process.argv.slice(2);
const PAGES = { "/": ["index.html", "text/html"], "/page.js": ["page.js", "text/javascript"] };
const PATIENCE_MS = 60000;
// In DFU mode, and when it runs.
const PRODUCTS = [0xd006, 0xc006];

// The package's modules for a page, which has no require().
function webdfuForPages() {
    const folder = path.dirname(require.resolve("webdfu/package.json"));
    const modules = ["DFU", "DFUse", "index"].map((name) =>
        `"./${name}": function (module, require) {${fs.readFileSync(path.join(folder, `${name}.js`))}}`);
    return `const webdfu = (() => {
        const sources = {${modules.join(",\n")}};
        const load = (name) => {
            const module = { exports: {} };
            sources[name](module, load);
            return module.exports;
        };
        return load("./index");
    })();`;
}

function answer(request, response) {
    if (request.url === "/webdfu.js") {
        response.setHeader("Content-Type", "text/javascript");
        response.end(webdfuForPages());
    } else if (PAGES[request.url]) {
        const [name, type] = PAGES[request.url];
        response.setHeader("Content-Type", type);
        response.end(fs.readFileSync(path.join(__dirname, "web", name)));
    } else {
        response.writeHead(404).end();
    }
}

// A profile in which the user has let this page use the boards before: headless, Chromium has no
// dialog in which to choose one.
function makeProfile(origin) {
    const profile = fs.mkdtempSync(path.join(process.cwd(), "profile-"));
    const chosen = serials.split(",").map((serial, i) => ({
        name: "Photon", "vendor-id": 0x2b04, "product-id": PRODUCTS[i], "serial-number": serial,
    }));
    fs.mkdirSync(path.join(profile, "Default"));
    fs.writeFileSync(path.join(profile, "Default", "Preferences"), JSON.stringify({
        profile: { content_settings: { exceptions: {
            usb_chooser_data: { [`${origin},*`]: { setting: { "chosen-objects": chosen } } },
        } } },
    }));
    return profile;
}

async function use(page) {
    await page.locator("#boards li").first().waitFor();
    console.log(`boards: ${await page.locator("#boards").innerText()}`);
    await page.setInputFiles("#file", file);
    await page.fill("#address", address);
    await page.click("#flash");
    await page.locator("#log li", { hasText: /^(read|failed)/ }).waitFor();
    await page.click("#leave:enabled");
    await page.locator("#log li", { hasText: /^(left|failed)/ }).waitFor();
    await page.locator("#log li", { hasText: /^disconnect/ }).waitFor();
    await page.locator("#log li", { hasText: /^connect/ }).waitFor();
}

async function main() {
    const server = http.createServer(answer).listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    const origin = `http://localhost:${server.address().port}`;
    const browser = await chromium.launchPersistentContext(makeProfile(origin), {
        executablePath: "/usr/bin/chromium",
        chromiumSandbox: sandbox === "true",
        args: ["--disable-gpu", "--disable-quic", "--disable-dev-shm-usage"],
        timeout: PATIENCE_MS,
    });
    const [page] = browser.pages();
    page.setDefaultTimeout(PATIENCE_MS);
    page.on("pageerror", (error) => console.log(`page: ${error}`));
    try {
        await page.goto(`${origin}/`);
        await use(page);
    } finally {
        console.log(await page.locator("#log").innerText());
        if (screenshot) {
            await page.screenshot({ path: screenshot });
        }
        await browser.close();
        server.close();
    }
}

main().catch((error) => {
    console.error(error.message);
    process.exitCode = 1;
});
