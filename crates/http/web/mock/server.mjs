// A tool for development: serves dist/ and a made-up building after the API's contract, with the security headers of the gateway.
//
//   node mock/server.mjs [--port 8091] [--devices 48] [--alerts-every 20] [--password WORD] [--quiet]
import { createServer } from "node:http";
import { readFileSync } from "node:fs";
import { dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Gateway, problem } from "./gateway.mjs";

export const CSP =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml" };
const DIST = join(dirname(fileURLToPath(import.meta.url)), "..", "dist");
const LARGEST = 256 * 1024;

async function read(request) {
  const parts = [];
  let size = 0;
  for await (const part of request) {
    size += part.length;
    if (size > LARGEST) throw problem(413, "Content Too Large");
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}

function send(response, status, body, headers = {}) {
  response.writeHead(status, { "Content-Type": "application/json", ...headers });
  response.end(body === undefined ? undefined : JSON.stringify(body));
}

export function startServer({ port = 0, devices = 48, alertsEvery = 20, password = "" } = {}) {
  const gateway = new Gateway({ devices, password });
  const attempts = { wrong: 0 };

  const isIn = (request) => !password || /(^|; )riser=in/.test(request.headers.cookie ?? "");
  const sessionOf = (request) => ({ login_required: password !== "", role: isIn(request) ? "operate" : null, locales: ["en", "fr", "de"], gateway: "hq-north", version: "0.1.0", timezone: "Europe/Paris" });

  function login(body, response) {
    if (attempts.wrong >= 5) return send(response, 429, { title: "Too Many Requests" }, { "Retry-After": "60", "Content-Type": "application/problem+json" });
    if (JSON.parse(body).password !== password) {
      attempts.wrong += 1;
      throw problem(401, "Unauthorized", "wrong password");
    }
    attempts.wrong = 0;
    send(response, 200, { role: "operate" }, { "Set-Cookie": "riser=in; HttpOnly; SameSite=Strict; Path=/" });
  }

  async function api(request, response, path, query) {
    if (path === "/session") return send(response, 200, sessionOf(request));
    if (path === "/login") return login(await read(request), response);
    if (path === "/logout") return send(response, 204, undefined, { "Set-Cookie": "riser=; Max-Age=0; Path=/" });
    if (!isIn(request)) throw problem(401, "Unauthorized");
    if (path === "/stream") {
      response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
      return gateway.join(response, request.headers["last-event-id"]);
    }
    if (path === "/export") {
      response.writeHead(200, { "Content-Type": "text/csv", "Content-Disposition": "attachment; filename=riser.csv" });
      return response.end("device,metric,start,end,avg,min,max,std,count\n");
    }
    send(response, 200, request.method === "POST" ? gateway.post(path, await read(request)) : gateway.get(path, query));
  }

  function file(path, response) {
    const name = path.startsWith("/assets/") ? path.slice("/assets/".length) : "index.html";
    if (!/^[\w.-]+$/.test(name)) return send(response, 404, {});
    try {
      const body = readFileSync(join(DIST, name));
      response.writeHead(200, { "Content-Type": TYPES[extname(name)] ?? "application/octet-stream", "Cache-Control": "no-cache" });
      response.end(body);
    } catch {
      send(response, 404, { title: "Not Found" });
    }
  }

  const server = createServer((request, response) => {
    response.setHeader("Content-Security-Policy", CSP);
    response.setHeader("X-Content-Type-Options", "nosniff");
    const url = new URL(request.url, "http://mock");
    if (!url.pathname.startsWith("/api/")) return file(url.pathname, response);
    api(request, response, url.pathname.replace(/^\/api\/v1/, ""), url.searchParams).catch((error) => {
      const status = error.status ?? 500;
      send(response, status, { type: "about:blank", title: error.title ?? "Internal Server Error", status, detail: error.message }, { "Content-Type": "application/problem+json" });
    });
  });
  const timers = [
    setInterval(() => gateway.second(), 1000),
    setInterval(() => gateway.emit("overview", gateway.overview()), 2000),
    setInterval(() => gateway.alertStep(), alertsEvery * 1000),
  ];
  return new Promise((resolve, reject) => {
    server.on("error", reject);
    server.listen(port, "127.0.0.1", () => {
      const stop = () => {
        timers.forEach(clearInterval);
        server.closeAllConnections();
        return new Promise((done) => server.close(done));
      };
      resolve({ url: `http://127.0.0.1:${server.address().port}`, gateway, stop });
    });
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: { port: { type: "string", default: "8091" }, devices: { type: "string", default: "48" }, "alerts-every": { type: "string", default: "20" }, password: { type: "string", default: "" } },
  });
  const { url } = await startServer({ port: Number(values.port), devices: Number(values.devices), alertsEvery: Number(values["alerts-every"]), password: values.password });
  console.log(url);
}
