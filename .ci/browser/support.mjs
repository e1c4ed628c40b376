// A gateway with an empty store, a browser, and callbacks to send.

import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

export const ROOT = new URL('../../', import.meta.url).pathname;
const PROGRAM = process.env.BOARD_ROLLCALL ?? join(ROOT, 'target/debug/rollcall');
const ARTEFACTS = new URL('artefacts/', import.meta.url).pathname;

/** A slow machine gets more time, but never for "within a second". */
export const PATIENCE = Number(process.env.BOARD_PATIENCE ?? 15_000);

export const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

/** Waits until a check is true, and answers with what it gave. */
export async function until(what, check, patience = PATIENCE) {
  const end = Date.now() + patience;
  for (;;) {
    const got = await check();
    if (got) return got;
    if (Date.now() > end) throw new Error(`not in time: ${what}`);
    await sleep(25);
  }
}

function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

const running = new Set();
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));

/** Runs the program until it is stopped. It is ready when it answers. On a busy machine no callback is given up. */
async function program(args, url) {
  const child = spawn(PROGRAM, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, RUST_LOG: 'warn', ROLLCALL_BUDGET_MS: '15000' } });
  running.add(child);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => { output = (output + data).slice(-4000); });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  await until(`${args.join(' ')} answers`, async () => {
    if (child.exitCode !== null) throw new Error(`it ended: ${output}`);
    return fetch(`${url}/board/config.json`).then(({ ok }) => ok, () => false);
  }, 60_000);
  return async () => {
    running.delete(child);
    child.kill('SIGKILL');
    await ended;
  };
}

/** A gateway on a free port, whose store is empty at first. */
export class Gateway {
  static async start() {
    const gateway = new Gateway();
    gateway.folder = mkdtempSync(join(tmpdir(), 'rollcall-board-'));
    [gateway.port, gateway.store] = [await freePort(), await freePort()];
    gateway.url = `http://127.0.0.1:${gateway.port}`;
    await gateway.begin();
    return gateway;
  }

  async begin() {
    const args = ['--port', this.port, '--dynamodb-port', this.store, '--data', this.folder].map(String);
    this.end = await program(args, this.url);
  }

  async stop() {
    await this.end();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Sends one callback of ZEGO; answers with the outcome. */
  async zego(event, fields, secret = 'secret') {
    const timestamp = String(Math.floor(Date.now() / 1000));
    const nonce = randomBytes(8).readBigUInt64LE().toString();
    const signature = createHash('sha1').update([secret, timestamp, nonce].sort().join('')).digest('hex');
    const body = JSON.stringify({ event, appid: '1', timestamp, nonce, signature, ...fields });
    const path = `/zego/${event.replace('_', '-')}`;
    const answer = await fetch(this.url + path, { method: 'POST', body, headers: { 'content-type': 'application/json' } });
    await answer.arrayBuffer();
    return answer.headers.get('x-rollcall-outcome');
  }

  /** Somebody enters a room; answers with how they leave it again. */
  async enter(user, room, { sequence = 1, at = Date.now(), nickname = user, life = '70898403569488', role = 2 } = {}) {
    const seat = {
      room_id: room, room_seq: life, user_account: user, user_nickname: nickname,
      session_id: createHash('md5').update(user + room + at).digest().readBigUInt64LE().toString().slice(0, 18),
      login_time: String(at), user_role: String(role), user_update_seq: String(sequence),
    };
    // As ZEGO does, it is sent again if it could not be stored in time.
    let outcome;
    for (let tries = 0; tries < 5 && !['applied', 'duplicate'].includes(outcome); tries += 1) {
      outcome = await this.zego('room_login', { ...seat, room_name: room });
    }
    if (outcome !== 'applied' && outcome !== 'duplicate') throw new Error(`room_login: ${outcome}`);
    return ({ reason = '0', leftAt = Date.now(), update = sequence + 1 } = {}) => this.zego('room_logout', {
      ...seat, user_update_seq: String(update), logout_time: String(leftAt), reason,
    });
  }

  /** Plays a provider by the program's own `send`, until it ends or is stopped. */
  send(...args) {
    const child = spawn(PROGRAM, ['send', ...args.map(String), '--url', this.url], { cwd: this.folder, stdio: 'ignore' });
    running.add(child);
    const ended = new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', resolve);
    }).finally(() => running.delete(child));
    return Object.assign(ended, { stop: () => child.kill() });
  }

  async ask(path) {
    const answer = await fetch(this.url + path);
    return answer.json();
  }
}

/** The board in front of a "stack": the gateway itself, over HTTP and unsigned. */
export async function stackBoard(gateway, ...apps) {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const args = ['board', '--url', gateway.url, '--port', String(port), ...apps.flatMap((app) => ['--app', app])];
  return { url, stop: await program(args, url) };
}

let browser;
export async function launch(args = []) {
  return chromium.launch({ executablePath: process.env.BOARD_CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', ...args] });
}

export async function closeBrowser() {
  await browser?.close();
}

/**
 * A page of the board. What goes wrong in it is in `faults`: errors in the console, exceptions and
 * requests to anywhere else. `asked` has the paths that it asked for.
 */
export async function open(url, { width = 1280, height = 800, origin = new URL(url).origin, ...options } = {}) {
  browser ??= await launch();
  const context = await browser.newContext({ viewport: { width, height }, timezoneId: 'Europe/Berlin', ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  Object.assign(page, { faults: [], asked: [], answers: [] });
  page.on('console', (message) => {
    if (message.type() === 'error') page.faults.push(`${message.text()} ${message.location().url}`);
  });
  page.on('pageerror', (error) => page.faults.push(error.stack));
  page.on('request', (request) => {
    page.asked.push(request.url().slice(origin.length));
    if (new URL(request.url()).origin !== origin) page.faults.push(`asks elsewhere: ${request.url()}`);
  });
  page.on('response', async (response) => {
    if (!/\/(rooms|presence)\//.test(response.url())) return;
    const body = await response.json().catch(() => null);
    if (body?.as_of) page.answers.push({ path: response.url().slice(origin.length), body });
  });
  await page.goto(url);
  return page;
}

/** What went wrong, without what a test made go wrong. */
export const faultsBut = (page, expected) => page.faults.filter((fault) => !expected.test(fault));

/** Keeps a picture for those who look at the results. */
export async function picture(page, name) {
  await page.screenshot({ path: join(ARTEFACTS, `${name}.png`) });
}

export const AXE = readFileSync(new URL('node_modules/axe-core/axe.min.js', import.meta.url), 'utf8');

/** What axe-core finds serious or critical. */
export async function serious(page) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => window.axe.run({
    runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
  }));
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(({ html, failureSummary }) => `${html} ${failureSummary}`).join(' | ')}`);
}

export const figure = (page, name) => page.locator('.stat', { hasText: name }).locator('.figure');
export const state = (page) => page.locator('#state');
