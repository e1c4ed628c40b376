// The frame of the page: which app, which view, and the connection.

import { endView, get, refresh, setStreaming, watchReach } from './api.js';
import { age, chip, h, heading, link, put, text } from './dom.js';
import { Stream } from './live.js';
import { callbacks } from './callbacks.js';
import { holes, overview } from './overview.js';
import { person } from './person.js';
import { room } from './room.js';

const NAMES = { zego: 'ZEGOCLOUD', openim: 'OpenIM', tencent: 'Tencent' };
const VIEWS = { rooms: overview, room, person, callbacks, holes };
const LINKS = { rooms: 'Now', callbacks: 'Callbacks', holes: 'Holes' };
const STATES = { connecting: 'Connecting', live: 'Live', polls: 'Asks every 5 s', lost: 'Connection lost' };
// How many events are remembered, and how many a reload gets.
const [REMEMBERED, REPLAYED] = [400, 100];

const [apps, find, home, main, nav, say, skip, state] = ['apps', 'find', 'home', 'main', 'nav', 'say', 'skip', 'state'].map((of) => document.getElementById(of));
const events = [];
let [config, app, view, stream, timer, told, isPicked] = [];

const isOf = (one) => (event) => event.provider === one.provider && event.app === one.app;

const href = (name, id = 'all', of = app) => `#${new URLSearchParams({ provider: of.provider, app: of.app, [name]: id })}`;
const linkTo = (what, id, name) => link(href(what, id), id, name);
const asked = () => new URLSearchParams(location.hash.slice(1));

function keep(name, value) {
	const parameters = asked();
	parameters.set(name, value);
	history.replaceState(history.state, '', `#${parameters}`);
}

// Remembers after which event a reload goes on.
const remember = () => history.replaceState((events.at(-REPLAYED) ?? events[0])?.id ?? null, '');

function show() {
	const parameters = asked();
	const isFirst = !view;
	if (!isFirst) remember();
	app = config.apps.find(isOf(Object.fromEntries(parameters))) ?? app ?? config.apps[0];
	if (!app) return put(main, heading('No app'), 'ROLLCALL_APPS, or --app in front of a stack, names apps.');
	const name = Object.keys(VIEWS).find((of) => parameters.get(of)) ?? 'rooms';
	endView();
	const own = isOf(app);
	view = VIEWS[name]({ config, app, id: parameters.get(name), parameters, link: linkTo, keep, title, say: speak, events: () => events.filter(own) });
	put(main, view.element);
	title(view.title || `${NAMES[app.provider]} ${app.app}`);
	put(nav, Object.entries(LINKS).map(([to, label]) => h('a', { href: href(to), 'aria-current': to === name && 'page' }, label)));
	home.href = href('rooms');
	apps.value = config.apps.indexOf(app);
	if (isFirst) return;
	scrollTo(0, 0);
	main.querySelector('h1').focus({ preventScroll: true });
}

function title(value) {
	document.title = `${value} · Rollcall`;
}

let [saidAt, toSay] = [0, null];
// Says something to a screen reader, once in a while and the newest only.
function speak(words, pause = 10_000) {
	clearTimeout(toSay);
	toSay = setTimeout(() => {
		saidAt = Date.now();
		text(say, words);
	}, Math.max(100, saidAt + pause - Date.now()));
}

function tell(kind) {
	if (told === kind) return;
	const click = () => {
		stream?.start();
		refresh();
	};
	put(state, chip(kind, h('i.dot'), STATES[kind]), kind === 'lost' && h('button', { type: 'button', click }, 'Try now'));
	if (told === 'lost' || kind === 'lost') speak(STATES[kind], 0);
	told = kind;
}

function take(event) {
	events.push(event);
	if (events.length > REMEMBERED) events.shift();
	timer ??= setTimeout(() => {
		timer = null;
		remember();
	}, 500);
	if (isOf(app)(event)) view.event?.(event);
	// Who tries it sees what they have sent, unless a second later this app has some of it.
	else if (view.isTeaching?.()) setTimeout(follow, 1000, event);
}

function follow(event) {
	const other = config.apps.find((one) => isOf(one)(event));
	if (other && !isPicked && view.isTeaching?.()) location.hash = href('rooms', 'all', other);
}

async function start() {
	const last = history.state;
	tell('connecting');
	while (!config) {
		config = await get('/board/config.json').catch(() => tell('lost'));
		if (!config) await new Promise((resolve) => { setTimeout(resolve, 2000); });
	}
	put(apps, config.apps.map((of, index) => h('option', { value: index }, `${NAMES[of.provider]} ${of.app}`)));
	apps.addEventListener('change', () => {
		isPicked = true;
		location.hash = href('rooms', 'all', config.apps[apps.value]);
	});
	find.addEventListener('submit', (event) => {
		event.preventDefault();
		const { value } = find.elements.id;
		if (value) location.hash = href(event.submitter.value, value);
	});
	skip.addEventListener('click', () => main.focus());
	addEventListener('hashchange', show);
	document.addEventListener('visibilitychange', () => document.hidden || refresh());
	setInterval(() => {
		age();
		view?.tick?.();
	}, 1000);
	show();
	if (!config.events) {
		tell('polls');
		return watchReach((is) => tell(is ? 'polls' : 'lost'));
	}
	stream = new Stream('/events', take, (kind) => {
		setStreaming(kind === 'live');
		if (kind !== 'connecting') tell(kind);
	}, last);
}

start();
