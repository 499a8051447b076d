// particle_cloud.js DEVICE-ID NAME LOG COMMAND...: runs a command with a stand-in of Particle's cloud
// on a loopback port, which it writes into the settings of the CLI. The cloud knows one Photon by id
// and name. Each request is a line of LOG: method, path, and what a form had in it.
const fs = require('fs');
const http = require('http');
const { spawn } = require('child_process');

const [id, name, log, ...command] = process.argv.slice(2);
const settings = `${process.env.HOME}/.particle/particle.config.json`;
const bodyLimit = 1 << 20;
const photon = { id, name, platform_id: 6, product_id: 6, connected: false, status: 'normal' };

// method, path, status, answer
const answers = [
    ['GET', new RegExp(`^/v1/devices/(${id}|${name})$`), 200, photon],
    ['GET', /^\/v1\/devices\//, 404, { ok: false, error: 'No device found' }],
    ['POST', new RegExp(`^/v1/provisioning/${id}$`), 200, { ok: true }],
];

// noteworthy BODY: what tests look for in a form.
function noteworthy(body) {
    const form = new URLSearchParams(body);
    return [/BEGIN PUBLIC KEY/.exec(form.get('publicKey')), form.has('algorithm') && `algorithm=${form.get('algorithm')}`]
        .filter((found) => found);
}

function answer(request, response) {
    let body = '';
    request.setEncoding('latin1');
    request.on('data', (chunk) => {
        body += chunk;
        if (body.length > bodyLimit) {
            request.destroy();
        }
    });
    request.on('end', () => {
        const path = request.url.split('?')[0].replace(/\/$/, '');
        const row = answers.find(([method, places]) => method === request.method && places.test(path));
        const [, , status, content] = row || [0, 0, 404, { ok: false, error: 'not_found' }];
        fs.appendFileSync(log, `${[request.method, path, ...noteworthy(body)].join(' ')}\n`);
        response.writeHead(status, { 'Content-Type': 'application/json', Connection: 'close' });
        response.end(JSON.stringify(content));
    });
}

const server = http.createServer(answer);
server.listen(0, '127.0.0.1', () => {
    const before = fs.readFileSync(settings);
    const apiUrl = `http://127.0.0.1:${server.address().port}`;
    fs.writeFileSync(settings, JSON.stringify({ ...JSON.parse(before), apiUrl }));
    spawn(command[0], command.slice(1), { stdio: 'inherit' })
        .on('error', (error) => {
            console.error(`${command[0]}: ${error.message}`);
            process.exit(127);
        })
        .on('exit', (code, signal) => {
            fs.writeFileSync(settings, before);
            process.exit(signal ? 128 : code);
        });
});
