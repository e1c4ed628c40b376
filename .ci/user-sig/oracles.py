"""Random tickets, minted by us and by Tencent's packages with the same clock, have to say the same.

Usage: user-sig-oracles.py ROLLCALL FOLDER, with npm's tls-sig-api-v2 installed in FOLDER.
"""

import base64
import json
import random
import string
import subprocess
import sys
import time
import zlib

import TLSSigAPIv2

ROLLCALL, FOLDER = sys.argv[1:]
SEED = random.randrange(1 << 32)
ROUNDS = 50

NODE = """
const { Api } = require("tls-sig-api-v2");
const cases = JSON.parse(require("fs").readFileSync(0, "utf8"));
const clock = Date.now;
console.log(JSON.stringify(cases.map((c) => {
    Date.now = () => c.now * 1000;
    const api = new Api(c.app, c.key);
    const tickets = [
        api.genUserSig(c.user, c.expire),
        api.genPrivateMapKey(c.user, c.expire, c.number, c.privileges),
        api.genPrivateMapKeyWithStringRoomID(c.user, c.expire, c.name, c.privileges),
    ];
    Date.now = clock;
    return tickets;
})));
"""


def make_case(rng):
    letters = string.ascii_letters + string.digits
    return {
        "app": rng.randint(1, (1 << 32) - 1),
        "key": "".join(rng.choices(string.hexdigits.lower(), k=rng.choice([1, 32, 64, 65, 100]))),
        "user": "".join(rng.choices(letters + "_-", k=rng.randint(1, 32))),
        "now": rng.randint(1_500_000_000, 2_000_000_000),
        "expire": rng.randint(60, 180 * 86400),
        "number": rng.randint(1, (1 << 32) - 2),
        "name": "".join(rng.choices(letters + " !#$%&()+-:;<=.>?@[]^_{}|~,", k=rng.randint(1, 64))),
        "privileges": rng.randint(0, 255),
    }


def decode(ticket):
    standard = ticket.replace("*", "+").replace("-", "/").replace("_", "=")
    return json.loads(zlib.decompress(base64.b64decode(standard, validate=True)))


def run(case, action, *args):
    whose = [f"--{name}={case[name]}" for name in ("user", "app", "key")]
    command = [ROLLCALL, "user-sig", action, *whose, *args]
    return subprocess.run(command, capture_output=True, text=True)


def ours(case, *room):
    options = [f"--now={case['now']}", f"--expire={case['expire']}", *room]
    if room:
        options.append(f"--privileges={case['privileges']}")
    minted = run(case, "mint", *options)
    assert minted.returncode == 0, minted.stderr
    return minted.stdout.split()


def python_sig(case, content):
    """The signature of this content, by the code of Tencent's package for Python."""
    time.time = lambda: case["now"]
    api = TLSSigAPIv2.TLSSigAPIv2(case["app"], case["key"])
    if "TLS.userbuf" in content:
        userbuf = base64.b64decode(content["TLS.userbuf"])
        return api.gen_sig_with_userbuf(case["user"], case["expire"], userbuf)
    return api.gen_sig(case["user"], case["expire"])


def check(case, theirs):
    user_sig, by_number = ours(case, f"--room-number={case['number']}")
    again, by_name = ours(case, f"--room={case['name']}")
    assert user_sig == again == ours(case)[0]
    for our_ticket, their_ticket in zip([user_sig, by_number, by_name], theirs, strict=True):
        content = decode(our_ticket)
        assert content == decode(their_ticket), "npm's says something else"
        python_ticket = python_sig(case, content)
        assert content == decode(python_ticket), "PyPI's says something else"
        for ticket in (our_ticket, their_ticket, python_ticket):
            last = case["now"] + case["expire"]
            good = run(case, "verify", f"--now={last}", ticket)
            assert (good.returncode, good.stdout) == (0, f"valid until {last}\n"), good
            expired = run(case, "verify", f"--now={last + 1}", ticket)
            assert expired.returncode == 1 and expired.stdout.startswith("70001 "), expired
            foreign = run({**case, "key": case["key"] + "x"}, "verify", f"--now={last}", ticket)
            assert foreign.returncode == 1 and foreign.stdout.startswith("70009 "), foreign


def main():
    rng = random.Random(SEED)
    cases = [make_case(rng) for _ in range(ROUNDS)]
    node = ["node", "-e", NODE]
    answer = subprocess.run(
        node, cwd=FOLDER, input=json.dumps(cases), capture_output=True, text=True, check=True
    )
    for case, theirs in zip(cases, json.loads(answer.stdout), strict=True):
        try:
            check(case, theirs)
        except AssertionError:
            print(f"seed {SEED}, case {case}", file=sys.stderr)
            raise
    print(f"ok: {ROUNDS} UserSigs and {2 * ROUNDS} PrivateMapKeys are as Tencent's packages make them")


main()
