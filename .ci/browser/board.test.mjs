// What the board must show, seen by a browser.

import assert from 'node:assert/strict';
import { createServer, request } from 'node:http';
import { after, afterEach, beforeEach, describe, test } from 'node:test';
import { join } from 'node:path';
import {
  Gateway, PATIENCE, ROOT, closeBrowser, faultsBut, figure, launch, open, picture, serious, sleep, stackBoard, state, until,
} from './support.mjs';

const MINUTE = 60_000;
/** More than two pages of each list. */
const [ROOMS, PEOPLE] = [250, 1200];
const WITHIN = 1000;

let gateway;
let pages = [];
const visit = async (hash = '', options = {}) => {
  const page = await open(`${gateway.url}/${hash}`, options);
  pages.push(page);
  return page;
};
/** The address of a view. */
const at = (view = 'rooms', id = 'all', provider = 'zego', app = '1') => `#${new URLSearchParams({ provider, app, [view]: id })}`;
const line = (page, words) => page.locator('.changes li', { hasText: words }).first();
const row = (page, list, words) => page.locator(`.${list} .sizer .row`, { hasText: words }).first();

after(closeBrowser);
afterEach(async () => {
  await Promise.all(pages.map((page) => page.context().close()));
  pages = [];
});

describe('with an empty store', () => {
  beforeEach(async () => { gateway = await Gateway.start(); });
  afterEach(() => gateway.stop());

  test('the first page teaches, and comes alive when a command of it is run', async () => {
    const page = await visit();
    await page.getByText('To see it work, play a provider').waitFor();
    const commands = await page.locator('.code pre').allTextContents();
    for (const provider of ['zego', 'openim', 'tencent']) {
      assert.ok(commands.some((command) => command.startsWith(`cargo run -- send ${provider} `)), `${provider}: ${commands}`);
    }
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    await page.locator('.code button').first().click();
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), commands[0]);
    await picture(page, 'first-run');

    const words = commands[0].split(' ').slice('cargo run -- send'.split(' ').length);
    const url = words.indexOf('--url');
    if (url >= 0) words.splice(url, 2);
    const sending = gateway.send(...words);
    await page.locator('.changes li').first().waitFor();
    await until('the number is there', async () => /^[1-9]/.test(await figure(page, 'People in rooms').textContent()));
    assert.equal(await page.locator('.code:visible').count(), 0, 'it still teaches');
    sending.stop();
    await sending;
    assert.deepEqual(page.faults, []);
  });

  test('the first page follows an app in which something happens', async () => {
    const page = await visit();
    await page.getByText('To see it work, play a provider').waitFor();
    await gateway.send('openim', 'user-register', '--user', 'ada');
    await gateway.send('openim', 'user-online', '--user', 'ada');
    await row(page, 'people', 'ada').getByText('online', { exact: true }).waitFor();
    assert.match(page.url(), /#provider=openim&app=main/);
    assert.deepEqual(page.faults, []);
  });

  test('somebody enters, is counted and leaves, each within a second', async () => {
    await (await gateway.enter('before', 'lobby'))();
    const page = await visit(at());
    await state(page).getByText('Live', { exact: true }).waitFor();
    await gateway.enter('guest', 'hall');
    await until('the list is there', async () => (await figure(page, 'People in rooms').textContent()) === '1');
    const times = [];
    const timed = async (what, check) => {
      const began = Date.now();
      await until(what, check);
      times.push(Date.now() - began);
    };
    for (let round = 1; round <= 5; round += 1) {
      const user = `ada-${round}`;
      const leave = await gateway.enter(user, 'lobby', { sequence: 2 * round + 1 });
      await timed(`${user} entered`, async () => (
        await line(page, `${user} entered lobby`).isVisible()
        && await figure(page, 'People in rooms').textContent() === '2'
        && await row(page, 'rooms', 'lobby').locator('.number').textContent().catch(() => '') === '1'
      ));
      await sleep(700);
      await leave();
      await timed(`${user} left`, async () => (
        await line(page, `${user} left lobby`).isVisible() && await figure(page, 'People in rooms').textContent() === '1'
      ));
      await sleep(700);
    }
    times.sort((a, b) => a - b);
    console.log(`# from the answer to the page: ${times.join(', ')} ms`);
    assert.ok(times[Math.floor(times.length / 2)] < WITHIN, `${times}`);
    assert.deepEqual(page.faults, []);
  });

  test('the numbers are those of the queries at the same as_of', async () => {
    for (const [index, room] of ['lobby', 'lobby', 'hall', 'library'].entries()) await gateway.enter(`user-${index}`, room, { sequence: index + 1 });
    const page = await visit(at());
    const sending = (async () => {
      for (let index = 4; index < 16; index += 1) {
        await gateway.enter(`user-${index}`, index % 2 ? 'lobby' : 'hall', { sequence: index + 1 });
        await sleep(120);
      }
    })();
    let compared = 0;
    for (let look = 0; look < 20; look += 1) {
      await sleep(150);
      const [people, rooms, asOf] = await page.evaluate(() => [
        ...[...document.querySelectorAll('.figure')].map(({ textContent }) => textContent), document.querySelector('.as-of').dataset.asOf,
      ]);
      const answer = page.answers.find(({ path, body }) => path.startsWith('/rooms/') && String(body.as_of) === asOf);
      if (!answer) continue;
      compared += 1;
      assert.equal(people, String(answer.body.rooms.reduce((all, { online }) => all + online, 0)));
      assert.equal(rooms, String(answer.body.rooms.length));
    }
    await sending;
    assert.ok(compared > 5, `compared ${compared} times`);
    const truth = await gateway.ask('/rooms/zego/1?limit=100');
    const all = truth.rooms.reduce((sum, { online }) => sum + online, 0);
    assert.equal(all, 16);
    await until('the last number', async () => await figure(page, 'People in rooms').textContent() === '16');

    const room = await visit(at('room', 'lobby'));
    await until('the room is counted', async () => /^\d/.test(await room.locator('.figure').textContent()));
    const { online, asOf } = await room.evaluate(() => ({
      online: document.querySelector('.figure').textContent, asOf: document.querySelector('.as-of').dataset.asOf,
    }));
    const { body } = room.answers.find(({ path, body: of }) => path.includes('/presence/') && String(of.as_of) === asOf);
    assert.equal(online, String(body.online));
    assert.equal(await room.locator('.members .sizer .row').count(), body.members.length);
    assert.deepEqual([page.faults, room.faults], [[], []]);
  });

  test('a reload resumes: the view, the filter, and what happened meanwhile', async () => {
    await gateway.enter('ada', 'lobby');
    await gateway.enter('bob', 'hall');
    const page = await visit(at());
    await state(page).getByText('Live', { exact: true }).waitFor();
    await row(page, 'rooms', 'lobby').waitFor();
    await gateway.enter('grace', 'lobby', { sequence: 2 });
    await gateway.enter('alan', 'lobby', { sequence: 3 });
    await line(page, 'alan entered lobby').waitFor();
    await page.getByPlaceholder('Filter rooms').fill('lob');
    await until('filtered', async () => !(await row(page, 'rooms', 'hall').isVisible()));
    await sleep(700);
    await page.goto('about:blank');
    await gateway.enter('edsger', 'hall', { sequence: 2 });
    await page.goBack();
    await line(page, 'edsger entered hall').waitFor();
    await line(page, 'alan entered lobby').waitFor();
    assert.equal(await page.getByPlaceholder('Filter rooms').inputValue(), 'lob');
    await row(page, 'rooms', 'lobby').waitFor();
    assert.equal(await row(page, 'rooms', 'hall').isVisible(), false);

    await row(page, 'rooms', 'lobby').getByRole('link').click();
    await page.getByLabel('How much of the past').selectOption('6 hours');
    await page.reload();
    await page.locator('h1', { hasText: 'lobby' }).waitFor();
    assert.equal(await page.getByLabel('How much of the past').inputValue(), '6 hours');
    await row(page, 'members', 'grace').waitFor();
    assert.deepEqual(faultsBut(page, /about:blank/), []);
  });

  test('it says that the connection is lost, and recovers', async () => {
    await gateway.enter('ada', 'lobby');
    const page = await visit(at('room', 'lobby'));
    await state(page).getByText('Live', { exact: true }).waitFor();
    await row(page, 'members', 'ada').waitFor();
    await gateway.end();
    await state(page).getByText('Connection lost').waitFor();
    await picture(page, 'lost');
    assert.ok(await row(page, 'members', 'ada').isVisible(), 'what is known stays');
    await gateway.begin();
    await gateway.enter('bob', 'lobby', { sequence: 2 });
    await state(page).getByText('Live', { exact: true }).waitFor();
    await row(page, 'members', 'bob').waitFor();
    assert.equal(await page.locator('.figure').textContent(), '2');
    await gateway.enter('grace', 'lobby', { sequence: 3 });
    await line(page, 'grace entered').waitFor();
    assert.deepEqual(faultsBut(page, /ERR_CONNECTION|ERR_INCOMPLETE|ERR_EMPTY|ERR_NETWORK/), []);
  });

  test('ids and names of strangers are text', async () => {
    const bad = '<img src=x onerror="window.taken=1">';
    const turned = 'ab\u202edc';
    const leave = await gateway.enter(bad, bad, { nickname: `${bad}!` });
    await gateway.enter(turned, 'a/b?c#d%2F', { nickname: turned });
    const page = await visit(at());
    await state(page).getByText('Live', { exact: true }).waitFor();
    await gateway.enter(bad, bad, { nickname: `${bad}!`, sequence: 3 });
    await line(page, `${bad} entered ${bad}`).waitFor();
    await row(page, 'rooms', bad).getByRole('link').click();
    await page.locator('h1', { hasText: bad }).waitFor();
    await row(page, 'members', `${bad}!`).waitFor();
    await row(page, 'timeline', bad).waitFor();
    await picture(page, 'strangers');
    await row(page, 'members', bad).getByRole('link').click();
    await page.locator('h1', { hasText: `Person ${bad}` }).waitFor();
    await leave();
    await page.getByRole('link', { name: 'Callbacks' }).click();
    await row(page, 'callbacks', bad).waitFor();
    await page.goto(`${gateway.url}/${at()}`);
    await row(page, 'rooms', 'a/b?c#d%2F').getByRole('link').click();
    await row(page, 'members', 'ab⟨U+202e⟩dc').waitFor();
    assert.equal(await page.evaluate(() => window.taken), undefined);
    assert.equal(await page.locator('img').count(), 1, 'only the logo is a picture');
    assert.deepEqual(page.faults, []);
  });

  test('a room shows its visits: those that last, and ends that are assumed', async () => {
    const now = Date.now();
    const leave = await gateway.enter('ada', 'lobby', { at: now - 9 * MINUTE, sequence: 1 });
    await leave({ leftAt: now - 6 * MINUTE });
    await gateway.enter('ada', 'lobby', { at: now - 4 * MINUTE, sequence: 3 });
    // Of bob's first visit the end was lost, which is the change 5.
    await gateway.enter('bob', 'lobby', { at: now - 8 * MINUTE, sequence: 4 });
    await gateway.enter('bob', 'lobby', { at: now - 2 * MINUTE, sequence: 6, role: 1 });
    await gateway.enter('grace', 'hall');
    const page = await visit(at('room', 'lobby'));
    const [ada, bob] = [row(page, 'timeline', 'ada'), row(page, 'timeline', 'bob')];
    await until('two visits each', async () => await ada.locator('.bar').count() === 2 && await bob.locator('.bar').count() === 2);
    assert.equal(await ada.locator('.bar.open').count(), 1);
    assert.equal(await ada.locator('.end-assumed').count(), 0);
    assert.equal(await bob.locator('.bar.end-assumed.end-lost').count(), 1);
    assert.match(await bob.locator('.end-assumed').evaluate((bar) => getComputedStyle(bar, '::after').backgroundImage), /repeating-linear-gradient/);
    assert.match(await bob.locator('.bars').getAttribute('aria-label'), /superseded \(assumed: its callback never arrived\); In since .*, anchor/s);
    const [first, second] = await Promise.all([0, 1].map((index) => ada.locator('.bar').nth(index).boundingBox()));
    // 3 minutes and 4 minutes, with a pause of 2 between them.
    assert.ok(Math.abs(first.width / second.width - 3 / 4) < 0.1, `${first.width} ${second.width}`);
    assert.ok(Math.abs((second.x - first.x - first.width) / second.width - 2 / 4) < 0.1);
    await page.locator('.chips', { hasText: '1 callback lost' }).waitFor();
    await page.getByText('never checked with the provider').waitFor();
    await row(page, 'members', 'bob').getByText('anchor').waitFor();
    const since = row(page, 'members', 'bob').locator('time');
    assert.equal(await since.getAttribute('datetime'), new Date(now - 2 * MINUTE).toISOString());
    assert.match(await since.getAttribute('title'), /\d\d:\d\d:\d\d\.\d{3} (CET|CEST|GMT\+[12])/);
    await picture(page, 'timeline');

    await page.getByRole('link', { name: 'Holes' }).click();
    await page.locator('h1', { hasText: 'Holes' }).waitFor();
    await row(page, 'rooms', 'lobby').getByText('1 lost').waitFor();
    await until('one of two', async () => await page.locator('output').textContent() === '1 of 2 rooms');
    assert.equal(await row(page, 'rooms', 'lobby').locator('[role=cell]').last().textContent(), 'never');
    await picture(page, 'holes');
    assert.deepEqual(page.faults, []);
  });

  test('a person: where, on which devices, last visits, registration', async () => {
    await gateway.send('openim', 'user-register', '--user', 'ada');
    await gateway.send('openim', 'user-online', '--user', 'ada');
    const page = await visit(at('person', 'ada', 'openim', 'main'));
    await page.locator('.chips', { hasText: 'online' }).waitFor();
    await page.getByRole('region', { name: 'Devices' }).getByText('still there').first().waitFor();
    await page.locator('dl', { hasText: 'Registered' }).waitFor();
    await gateway.send('openim', 'user-offline', '--user', 'ada');
    await page.locator('.chips', { hasText: 'offline' }).waitFor();
    await picture(page, 'person-openim');

    const leave = await gateway.enter('grace', 'lobby', { at: Date.now() - 5 * MINUTE });
    await page.getByPlaceholder('Id of a person or room').fill('grace');
    await page.locator('#apps').selectOption({ label: 'ZEGOCLOUD 1' });
    await page.getByRole('button', { name: 'Person' }).click();
    await page.getByRole('region', { name: 'Rooms now' }).getByRole('link', { name: 'lobby' }).waitFor();
    await leave();
    await page.getByText('In no room.').waitFor();
    await page.getByRole('region', { name: 'Last visits' }).getByText(/5 min \d+ s/).waitFor();
    await picture(page, 'person-zego');
    assert.deepEqual(page.faults, []);
  });

  test('callbacks are shown with their outcomes', async () => {
    const leave = await gateway.enter('ada', 'lobby');
    const page = await visit(at('callbacks'));
    await row(page, 'callbacks', 'room_login').getByText('applied').waitFor();
    const leftAt = Date.now();
    await leave({ leftAt });
    assert.equal(await leave({ leftAt }), 'duplicate');
    assert.equal(await gateway.zego('room_login', { room_id: 'lobby' }, 'wrong'), 'rejected');
    await row(page, 'callbacks', 'duplicate').waitFor();
    const rejected = row(page, 'callbacks', 'rejected');
    await rejected.getByText(/401 .*signature/).waitFor();
    await rejected.getByText('not verified').waitFor();
    await page.getByRole('button', { name: /rejected 1/ }).click();
    await until('only that one', async () => await page.locator('.callbacks .sizer .row').count() === 1);
    const colour = (chip) => page.locator(`.tools .chip.${chip}`).evaluate((of) => getComputedStyle(of).color);
    assert.notEqual(await colour('rejected'), await colour('applied'));
    await picture(page, 'callbacks');
    await page.reload();
    await until('the filter resumes', async () => await page.locator('.callbacks .sizer .row').count() === 1);
    assert.deepEqual(page.faults, []);
  });

  test('it works with the keyboard alone', async () => {
    for (let index = 0; index < 30; index += 1) await gateway.enter(`user-${index}`, `room-${String(index).padStart(2, '0')}`, { at: Date.now() - index * 1000 });
    const page = await visit(at());
    await until('all are listed', async () => await page.locator('.rooms [role=table]').getAttribute('aria-rowcount') === '31');
    const focused = () => page.evaluate(() => document.activeElement.textContent || document.activeElement.getAttribute('aria-label') || document.activeElement.id);
    await page.keyboard.press('Tab');
    assert.equal(await focused(), 'Skip to content');
    await page.keyboard.press('Enter');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'main');
    for (let tab = 0; tab < 4 && !(await focused()).startsWith('room-'); tab += 1) await page.keyboard.press('Tab');
    const first = await focused();
    assert.match(first, /^room-/);
    await page.keyboard.press('ArrowDown');
    const second = await focused();
    assert.notEqual(second, first);
    await page.keyboard.press('End');
    await until('the last room', async () => page.evaluate(() => document.activeElement.closest('.row')?.getAttribute('aria-rowindex') === '31'));
    await page.keyboard.press('Home');
    assert.equal(await focused(), first);
    await page.keyboard.press('ArrowDown');
    assert.ok(await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle !== 'none'), 'the focus is seen');
    await page.keyboard.press('Enter');
    await page.locator('h1', { hasText: second }).waitFor();
    assert.match(await focused(), new RegExp(`Room ${second}`));
    await page.locator('.timeline .sizer .row').waitFor();
    await page.locator('.members .sizer .row').waitFor();
    for (let tab = 0; tab < 8 && !(await focused()).startsWith('user-'); tab += 1) await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.locator('h1', { hasText: 'Person user-' }).waitFor();
    await page.goBack();
    await page.locator('h1', { hasText: second }).waitFor();
    assert.deepEqual(page.faults, []);
  });

  test('a screen reader has names, places and news', async () => {
    await gateway.enter('ada', 'lobby');
    const page = await visit(at('room', 'lobby'));
    await row(page, 'members', 'ada').waitFor();
    for (const role of ['banner', 'navigation', 'main', 'search', 'status']) assert.ok(await page.getByRole(role).count() >= 1, role);
    assert.equal(await page.getByRole('heading', { level: 1 }).count(), 1);
    await page.getByRole('table', { name: /People in the room/ }).getByRole('row', { name: /ada/ }).waitFor();
    await gateway.enter('bob', 'lobby', { sequence: 2 });
    await until('it is said', async () => /2 people are in/.test(await page.locator('#say').textContent()));
  });

  for (const colorScheme of ['light', 'dark']) {
    for (const width of [360, 1280]) {
      test(`axe-core finds nothing serious, ${colorScheme} at ${width} px`, async () => {
        const now = Date.now();
        await gateway.enter('ada', 'lobby', { at: now - 9 * MINUTE, sequence: 1 });
        await gateway.enter('ada', 'lobby', { at: now - 4 * MINUTE, sequence: 3 });
        await gateway.enter('somebody-with-a-long-id-that-does-not-fit-into-a-column', 'a-room-with-a-long-id-that-does-not-fit-into-a-column-either', { role: 1 });
        await gateway.zego('room_login', { room_id: 'lobby' }, 'wrong');
        await gateway.send('openim', 'user-register', '--user', 'ada');
        await gateway.send('openim', 'user-online', '--user', 'ada');
        const page = await visit(at(), { width, height: 800, colorScheme });
        const views = {
          now: [at(), '.rooms .sizer .row'], room: [at('room', 'lobby'), '.timeline .sizer .row'],
          person: [at('person', 'ada'), 'table td'], callbacks: [at('callbacks'), '.callbacks .sizer .row'],
          holes: [at('holes'), '.rooms .sizer .row'],
          people: [at('rooms', 'all', 'openim', 'main'), '.people .sizer .row'], registered: [at('person', 'ada', 'openim', 'main'), 'dl'],
        };
        for (const [name, [hash, loaded]] of Object.entries(views)) {
          await page.goto(`${gateway.url}/${hash}`);
          await page.locator(loaded).first().waitFor();
          await sleep(400);
          await picture(page, `${name}-${colorScheme}-${width}`);
          assert.deepEqual(await serious(page), [], name);
          const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
          assert.ok(over <= 0, `${name} is ${over} px too wide`);
        }
        assert.deepEqual(page.faults, []);
      });
    }
  }

  test('nothing moves for those who want no motion', async () => {
    await gateway.enter('ada', 'lobby');
    const page = await visit(at('room', 'lobby'), { reducedMotion: 'reduce' });
    await line(page, 'ada entered').waitFor();
    assert.equal(await page.evaluate(() => document.getAnimations().length), 0);
    assert.equal(await line(page, 'ada entered').evaluate((of) => getComputedStyle(of).animationName), 'none');
  });

  test('a page from another origin can neither read the board nor make it ask', async () => {
    await gateway.enter('ada', 'lobby');
    const paths = ['/', '/board/app.js', '/board/config.json', '/events', '/board/callbacks', '/rooms/zego/1', '/presence/zego/1/rooms?room=lobby'];
    const foreign = createServer((_, answer) => answer.setHeader('content-type', 'text/html').end('<!doctype html><title>foreign</title>')).listen(0, '127.0.0.1');
    await new Promise((resolve) => { foreign.once('listening', resolve); });
    try {
      const page = await visit();
      const { port } = foreign.address();
      for (const host of ['127.0.0.1', 'localhost']) {
        await page.goto(`http://${host}:${port}/`);
        for (const path of paths) {
          const got = await page.evaluate(async (url) => {
            const read = (mode) => fetch(url, { mode, signal: AbortSignal.timeout(3000) }).then(async (answer) => `${answer.type} ${answer.status} ${(await answer.text()).length}`, (error) => error.name);
            const loaded = (tag, attributes) => new Promise((resolve) => {
              const element = Object.assign(document.createElement(tag), attributes, { onload: () => resolve('loaded'), onerror: () => resolve('error') });
              document.body.append(element);
              setTimeout(resolve, 1500, 'nothing');
            });
            const [cors, blind, script] = await Promise.all([read('cors'), read('no-cors'), loaded('script', { src: url })]);
            return { cors, blind, script };
          }, gateway.url + path);
          assert.equal(got.cors, 'TypeError', `${path} ${JSON.stringify(got)}`);
          assert.match(got.blind, /^(TypeError|opaque 0 0)$/, path);
          assert.notEqual(got.script, 'loaded', path);
        }
        const frame = await page.evaluate((url) => new Promise((resolve) => {
          const element = Object.assign(document.createElement('iframe'), { src: url });
          element.onload = () => resolve(element.contentDocument === null);
          document.body.append(element);
        }), `${gateway.url}/`);
        assert.equal(frame, true);
        assert.ok(!page.frames().some((of) => of.url() === `${gateway.url}/`), 'it cannot be framed');
      }
    } finally {
      foreign.close();
    }

    // What a browser sends for another page, sent by hand: it is refused before anything is asked.
    const refused = (path, headers) => new Promise((resolve, reject) => {
      const asked = request({ host: '127.0.0.1', port: gateway.port, path, headers }, (answer) => {
        resolve([answer.statusCode, answer.headers['access-control-allow-origin']]);
        answer.destroy();
      });
      asked.once('error', reject).end();
    });
    for (const path of paths) {
      for (const headers of [
        { origin: 'http://evil.example' }, { origin: 'null' }, { origin: 'http://127.0.0.1:1' }, { 'sec-fetch-site': 'cross-site' },
        { host: 'evil.example' }, { host: `evil.example:${gateway.port}` }, { host: `127.0.0.1.evil.example:${gateway.port}` },
      ]) {
        assert.deepEqual(await refused(path, headers), [403, undefined], `${path} ${JSON.stringify(headers)}`);
      }
      assert.equal((await refused(path, {}))[0], 200, path);
      assert.equal((await refused(path, { origin: gateway.url }))[0], 200, path);
    }
  });

  test('a foreign name that is bound to this machine shows nothing', async () => {
    const rebound = await launch(['--host-resolver-rules=MAP evil.example 127.0.0.1']);
    try {
      const page = await rebound.newPage();
      const answer = await page.goto(`http://evil.example:${gateway.port}/`);
      assert.equal(answer.status(), 403);
      assert.equal(await page.evaluate(() => fetch('/rooms/zego/1').then(({ status }) => status)), 403);
    } finally {
      await rebound.close();
    }
  });

  test('scripts and styles of markup do not run, should any get in', async () => {
    const page = await visit(at());
    await state(page).getByText('Live', { exact: true }).waitFor();
    const policy = (await fetch(gateway.url)).headers.get('content-security-policy');
    assert.match(policy, /default-src 'none'/);
    assert.doesNotMatch(policy, /unsafe|\*|http/);
    const got = await page.evaluate(async (url) => {
      document.querySelector('main').insertAdjacentHTML('beforeend', '<img id="bad" src="x" onerror="window.taken = 1"><p id="styled" style="color: red">x</p>');
      await new Promise((resolve) => { setTimeout(resolve, 500); });
      const elsewhere = await fetch(url).then(() => 'asked', (error) => error.name);
      return { taken: window.taken, style: document.getElementById('styled').style.color, elsewhere };
    }, 'http://127.0.0.1:1/');
    assert.deepEqual(got, { taken: undefined, style: '', elsewhere: 'TypeError' });
    assert.ok(page.faults.length >= 3 && page.faults.every((fault) => /Content Security Policy|violates|404/.test(fault)), page.faults.join('\n'));
  });

  test('it asks nothing while nobody looks, and catches up', async () => {
    await gateway.enter('ada', 'lobby');
    const page = await open('about:blank', { origin: gateway.url });
    pages.push(page);
    await page.clock.install();
    await page.addInitScript(() => {
      Object.defineProperty(Document.prototype, 'hidden', { get: () => window.isHidden === true });
      window.hide = (is) => {
        window.isHidden = is;
        document.dispatchEvent(new Event('visibilitychange'));
      };
    });
    await page.goto(`${gateway.url}/${at('room', 'lobby')}`);
    await row(page, 'members', 'ada').waitFor();
    // In steps: otherwise an answer seems to take as long as the whole pause, and the page spares the gateway.
    const pass = async (seconds) => {
      for (let second = 0; second < seconds; second += 1) {
        await page.clock.runFor(1000);
        await sleep(20);
      }
    };
    await page.evaluate(() => window.hide(true));
    await pass(25);
    page.asked.length = 0;
    await gateway.enter('bob', 'lobby', { sequence: 2 });
    await pass(50);
    assert.ok(page.asked.length <= 4, page.asked.join(' '));
    assert.ok(!page.asked.some((path) => path.startsWith('/events')));
    await page.evaluate(() => window.hide(false));
    await until('it catches up', async () => {
      await pass(1);
      return await row(page, 'members', 'bob').isVisible() && line(page, 'bob entered').isVisible();
    });
  });

  test('in front of a stack it asks every few seconds, and names the query of the logs', async () => {
    await gateway.enter('ada', 'lobby');
    const board = await stackBoard(gateway, 'zego/1');
    try {
      const page = await open(`${board.url}/`);
      pages.push(page);
      await state(page).getByText('Asks every 5 s').waitFor();
      await row(page, 'rooms', 'lobby').waitFor();
      await gateway.enter('bob', 'lobby', { sequence: 2 });
      await until('bob is counted', async () => await figure(page, 'People in rooms').textContent() === '2');
      assert.ok(!page.asked.some((path) => path.startsWith('/events')));
      await row(page, 'rooms', 'lobby').getByRole('link').click();
      await line(page, 'bob entered').waitFor();
      await page.getByRole('link', { name: 'Callbacks' }).click();
      await page.locator('.code pre', { hasText: 'fields @timestamp' }).waitFor();
      await picture(page, 'stack-callbacks');
      await page.goto(`${board.url}/${at('room', 'lobby')}`);
      await row(page, 'members', 'bob').waitFor();
      await board.stop();
      await state(page).getByText('Connection lost').waitFor();
      assert.deepEqual(faultsBut(page, /ERR_CONNECTION/), []);
    } finally {
      await board.stop();
    }
  });
});

describe('with very many', () => {
  let crowded;
  const crowd = async () => {
    gateway = crowded ??= await Gateway.start();
    if (crowded.isFull) return;
    const began = Date.now();
    const all = (count, one) => {
      let next = 0;
      const some = async () => {
        while (next < count) {
          next += 1;
          await one(next);
        }
      };
      return Promise.all(Array.from({ length: 16 }, some));
    };
    await all(ROOMS, (index) => gateway.enter(`user-${index}`, nameOf(index)));
    await all(PEOPLE, (index) => gateway.enter(`guest-${index}`, 'crowd', { sequence: index, life: '80898403569488' }));
    // Rooms are listed in the order of the callbacks, a while after them.
    await until('the gateway lists them', async () => {
      const { rooms } = await gateway.ask('/rooms/zego/1?count=false&limit=1000');
      return rooms?.length > Math.min(ROOMS, 999) || sleep(1000);
    }, 120_000);
    console.log(`# ${ROOMS} rooms and ${PEOPLE} people in ${Date.now() - began} ms`);
    crowded.isFull = true;
  };
  after(() => crowded?.stop());

  const nameOf = (index) => `room-${String(index).padStart(5, '0')}`;

  /** Answers in the gateway's place as if there were so many rooms more: each is like a real one. */
  async function play(page, count) {
    const like = (room) => ({ ...room, room: undefined });
    const real = await gateway.ask(`/rooms/zego/1?limit=1`);
    const bare = await gateway.ask(`/rooms/zego/1?limit=1&count=false`);
    const one = await gateway.ask(`/presence/zego/1/rooms?room=${nameOf(1)}&limit=1`);
    await page.route('**/rooms/zego/1?*', (route) => {
      const asked = new URL(route.request().url()).searchParams;
      const [first, limit] = [Number(asked.get('next') ?? 0), Number(asked.get('limit'))];
      const from = asked.get('count') === 'false' ? bare : real;
      const rooms = Array.from({ length: Math.min(limit, count - first) }, (_, index) => ({ ...like(from.rooms[0]), room: nameOf(first + index + 1) }));
      const next = first + limit < count ? String(first + limit) : null;
      return route.fulfill({ json: { ...from, as_of: Date.now(), rooms, next } });
    });
    await page.route('**/presence/zego/1/rooms?*', (route) => {
      const room = new URL(route.request().url()).searchParams.get('room');
      return room === nameOf(42) ? route.continue() : route.fulfill({ json: { ...one, as_of: Date.now(), room } });
    });
  }

  /** Scrolls a list to its end by steps; answers with how long a frame takes. */
  const scroll = (page, list) => page.locator(`.${list} .scroller`).evaluate(async (scroller) => {
    let [last, most] = [performance.now(), 0];
    const frames = [];
    const started = performance.now();
    while (scroller.scrollTop + scroller.clientHeight < scroller.scrollHeight - 2 && performance.now() - started < 60_000) {
      scroller.scrollTop += Math.max(400, (scroller.scrollHeight - scroller.scrollTop) / 60);
      await new Promise(requestAnimationFrame);
      frames.push(performance.now() - last);
      last = performance.now();
      most = Math.max(most, scroller.querySelectorAll('.row').length);
    }
    frames.sort((a, b) => a - b);
    const at = (share) => frames[Math.floor(frames.length * share)];
    return { usual: at(0.5), slow: at(0.95), longest: frames.at(-1), frames: frames.length, most };
  });
  /** Few rows exist, and a frame takes long only now and then: another program may be busy. */
  const expectFluid = ({ usual, slow, longest, frames, most }) => {
    const measured = `${frames} frames, usual ${usual.toFixed(0)} ms, 95% ${slow.toFixed(0)} ms, longest ${longest.toFixed(0)} ms, ${most} rows`;
    console.log(`# ${measured}`);
    assert.ok(most < 60 && usual < 60 && slow < 300, measured);
  };

  // The gateway's own rooms are several pages of its list. Ten thousand are played: storing them takes minutes.
  for (const [what, played] of [['hundreds of rooms', 0], ['ten thousand rooms', 10_000]]) {
    test(`${what} are scrolled, and numbers asked for of those that are seen`, async () => {
      await crowd();
      const rooms = played || ROOMS + 1;
      const page = await open('about:blank', { origin: gateway.url });
      pages.push(page);
      if (played) await play(page, played);
      await page.goto(`${gateway.url}/${at()}`);
      await state(page).getByText('Live', { exact: true }).waitFor();
      await until('all are listed', async () => page.locator('.rooms [role=table]').getAttribute('aria-rowcount').then((count) => Number(count) === rooms + 1));
      await until('numbers of the first ones', async () => (await page.locator('.rooms .number').first().textContent()) !== '…');
      const counted = page.answers.filter(({ path }) => path.startsWith('/rooms/') && !path.includes('count=false'));
      const inList = counted.reduce((all, { body }) => all + body.rooms.length, 0);
      assert.ok(counted.length && inList <= 200, `${inList} rooms are counted by the list`);
      await sleep(1000);
      const asked = () => page.asked.filter((path) => path.startsWith('/presence/')).length;
      const before = asked();
      // What is seen is some 15 rows; a window may be asked about again.
      assert.ok(before <= 60, `${before} rooms are asked about`);
      await picture(page, `many-rooms-${rooms}`);
      expectFluid(await scroll(page, 'rooms'));
      const last = page.locator('.rooms .sizer .row').last();
      await until('the last ones have numbers', async () => (await last.locator('.number').textContent()) !== '…');
      // Scrolling stops for no row: most of many are never asked about.
      const during = asked() - before;
      assert.ok(during < Math.max(rooms / 5, 250), `${during} rooms are asked about while scrolling`);
      await page.getByPlaceholder('Filter rooms').fill(nameOf(42));
      await until('filtered', async () => await page.locator('.rooms .sizer .row').count() === 1);
      const number = page.locator('.rooms .number');
      await until('it is counted', async () => /^\d+$/.test(await number.textContent()));
      const people = Number(await number.textContent());
      await gateway.enter(`late-${rooms}`, nameOf(42), { sequence: people + 1 });
      await until('it is counted live', async () => await number.textContent() === String(people + 1));
      assert.deepEqual(page.faults, []);
    });
  }

  test('a room of very many people stays fluid', async () => {
    await crowd();
    const page = await visit(at('room', 'crowd'));
    await until('the first page', async () => await page.locator('.members .sizer .row').count() > 5);
    const members = page.locator('.members [role=table]');
    await until('everybody is listed', async () => {
      await scroll(page, 'members');
      return Number(await members.getAttribute('aria-rowcount')) > PEOPLE;
    }, 60_000);
    expectFluid(await scroll(page, 'timeline'));
    await gateway.enter('late', 'crowd', { sequence: PEOPLE + 1, life: '80898403569488' });
    await line(page, 'late entered').waitFor();
    await picture(page, 'many-people');
    assert.deepEqual(page.faults, []);
  });
});

test('the pictures of the README', { skip: !process.env.BOARD_PICTURES }, async () => {
  gateway = await Gateway.start();
  try {
    const now = Date.now();
    const ago = (minutes) => now - minutes * MINUTE;
    const people = ['ada', 'alan', 'barbara', 'donald', 'edsger', 'frances', 'grace', 'john', 'margaret', 'radia'];
    let sequence = 0;
    for (const [index, user] of people.entries()) {
      const first = 13.5 - index * 0.7;
      const leave = await gateway.enter(user, 'lesson-7', { at: ago(first), sequence: (sequence += 1), role: index ? 2 : 1 });
      if (index % 3 === 0) continue;
      // The callback of every second end is lost.
      const [left, back] = [first - 3 - (index % 4), first - 4.2 - (index % 4)];
      sequence += 1;
      if (index % 2) await leave({ leftAt: ago(left), reason: index === 5 ? '1' : '0', update: sequence });
      if (index !== 7) await gateway.enter(user, 'lesson-7', { at: ago(back), sequence: (sequence += 1) });
    }
    for (const colorScheme of ['light', 'dark']) {
      const page = await visit(at('room', 'lesson-7'), { width: 1120, height: 560, colorScheme });
      await page.locator('.timeline .bar').first().waitFor();
      await page.locator('.members .sizer .row').first().waitFor();
      await page.locator('.changes li').first().waitFor();
      await state(page).getByText('Live', { exact: true }).waitFor();
      await page.screenshot({ path: join(ROOT, `docs/board-${colorScheme}.png`) });
    }
  } finally {
    await gateway.stop();
  }
});
