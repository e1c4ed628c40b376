"""Random tokens of ours are decrypted by another implementation, and random tokens of others are verified by us: of that
implementation, and of ZEGO's own UIKit for the web.

Usage: oracles.py ROLLCALL FOLDER, with npm's @zegocloud/zego-uikit-prebuilt and jsdom installed in FOLDER.
"""

import base64
import json
import os
import random
import string
import struct
import subprocess
import sys

from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

ROLLCALL, FOLDER = sys.argv[1:]
SEED = random.randrange(1 << 32)
ROUNDS = 40
LETTERS = string.ascii_letters + string.digits

NODE = """
const { JSDOM, VirtualConsole } = require("jsdom");
const fs = require("fs");
const cases = JSON.parse(fs.readFileSync(0, "utf8"));
const options = { url: "https://localhost/", runScripts: "outside-only", virtualConsole: new VirtualConsole() };
const { window } = new JSDOM("", options);
window.eval(fs.readFileSync(require.resolve("@zegocloud/zego-uikit-prebuilt"), "utf8"));
const tokens = cases.map((c) => {
    window.Date.now = () => c.now * 1000;
    return window.ZegoUIKitPrebuilt.generateKitTokenForTest(c.app, c.key, "room", c.ascii_user, "name", c.expire);
});
fs.writeFileSync(1, JSON.stringify(tokens));
process.exit(0);
"""


def make_case(rng):
    texts = LETTERS + string.punctuation
    unicode = texts + " é😀漢\u2028"
    streams = ["".join(rng.choices(texts, k=rng.randint(1, 60))) for _ in range(rng.randint(0, 4))]
    return {
        "app": rng.randint(1, (1 << 32) - 1),
        "key": "".join(rng.choices(texts, k=32)),
        "user": "".join(rng.choices(unicode, k=rng.randint(1, 15))),
        "ascii_user": "".join(rng.choices(LETTERS + "_-", k=rng.randint(1, 63))),
        # UIKit's end has 32 bits.
        "now": rng.randint(1_500_000_000, 2_000_000_000),
        "expire": rng.randint(60, 180 * 86400),
        "room": rng.choice([None, "".join(rng.choices(unicode, k=rng.randint(1, 30)))]),
        "login": rng.choice([True, False]),
        "publish": rng.choice([True, False]),
        "streams": streams or None,
    }


def payload(case):
    if case["room"] is None:
        return ""
    privilege = {"1": int(case["login"]), "2": int(case["publish"])}
    return {"room_id": case["room"], "privilege": privilege, "stream_id_list": case["streams"]}


def decrypt(token, key):
    """The end in front of the ciphertext, the IV, and the content."""
    assert token[:2] == "04", token
    data = base64.b64decode(token[2:], validate=True)
    end, iv_length = struct.unpack_from(">qH", data)
    iv = data[10:10 + iv_length]
    (length,) = struct.unpack_from(">H", data, 10 + iv_length)
    ciphertext = data[12 + iv_length:]
    assert len(iv) == 16 and len(ciphertext) == length, "there is more, or less"
    decryptor = Cipher(algorithms.AES(key.encode()), modes.CBC(iv)).decryptor()
    padded = decryptor.update(ciphertext) + decryptor.finalize()
    unpadder = padding.PKCS7(128).unpadder()
    return end, iv, json.loads(unpadder.update(padded) + unpadder.finalize())


def encrypt(rng, case):
    """A token as any other implementation might make it."""
    content = {
        "app_id": case["app"], "user_id": case["user"], "nonce": rng.randint(-(1 << 31), (1 << 31) - 1),
        "ctime": case["now"], "expire": case["now"] + case["expire"],
    }
    if of_room := payload(case):
        content["payload"] = json.dumps(of_room)
    elif rng.choice([True, False]):
        content["payload"] = ""
    pairs = list(content.items())
    rng.shuffle(pairs)
    text = json.dumps(dict(pairs), ensure_ascii=rng.choice([True, False]), indent=rng.choice([None, 1]))
    key, end = case["key"].encode(), content["expire"]
    if case["mode"] == "gcm":
        iv = os.urandom(12)
        ciphertext, mode = AESGCM(key).encrypt(iv, text.encode(), None), b"\x01"
    else:
        iv, mode = os.urandom(16), rng.choice([b"", b"\x00"])
        padder = padding.PKCS7(128).padder()
        encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
        ciphertext = encryptor.update(padder.update(text.encode()) + padder.finalize()) + encryptor.finalize()
    data = struct.pack(">qH", end, len(iv)) + iv + struct.pack(">H", len(ciphertext)) + ciphertext + mode
    return "04" + base64.b64encode(data).decode()


def run(case, action, *args):
    whose = [f"--{name}={case[name]}" for name in ("user", "app", "key")]
    command = [ROLLCALL, "token", action, *whose, *args]
    return subprocess.run(command, capture_output=True, text=True)


def ours(case):
    options = [f"--now={case['now']}", f"--expire={case['expire']}"]
    if case["room"] is not None:
        options.append(f"--room={case['room']}")
        options += ["--publish"] * case["publish"] + ["--no-login"] * (not case["login"])
        options += [f"--stream={stream}" for stream in case["streams"] or []]
    minted = run(case, "mint", *options)
    assert minted.returncode == 0, minted.stderr
    return minted.stdout.rstrip("\n")


def check_ours(case):
    token = ours(case)
    end, iv, content = decrypt(token, case["key"])
    nonce = content.pop("nonce")
    assert isinstance(nonce, int) and -(1 << 31) <= nonce < 1 << 31, nonce
    of_room = content.pop("payload")
    wanted = {"app_id": case["app"], "user_id": case["user"], "ctime": case["now"], "expire": case["now"] + case["expire"]}
    assert content == wanted and end == wanted["expire"], content
    assert (json.loads(of_room) if of_room else "") == payload(case), of_room
    again = decrypt(ours(case), case["key"])
    assert again[1] != iv, "an IV is random"
    check_verdicts(case, token)


def check_verdicts(case, token):
    last = case["now"] + case["expire"]
    good = run(case, "verify", f"--now={last}", token)
    assert (good.returncode, good.stdout) == (0, f"valid until {last}\n"), good
    refused = {
        "1002078": run(case, "verify", f"--now={last + 1}", token),
        "1002077": run({**case, "user": case["user"] + "x"}, "verify", f"--now={last}", token),
        "1002076": run({**case, "app": case["app"] % ((1 << 32) - 1) + 1}, "verify", f"--now={last}", token),
        "1002075": run(case, "verify", f"--now={last}", token[:-5]),
        "1002079": run(case, "verify", f"--now={last}", "03" + token[2:]),
    }
    for code, found in refused.items():
        assert found.returncode == 1 and found.stdout.startswith(f"{code} "), (code, found)
    # A wrong key and a wrong padding have one answer.
    foreign = run({**case, "key": "x" * 32}, "verify", f"--now={last}", token)
    data = bytearray(base64.b64decode(token[2:]))
    at = len(data) - 20
    data[at] ^= 0xFF
    tampered = run(case, "verify", f"--now={last}", "04" + base64.b64encode(data).decode())
    assert foreign.stdout.startswith("1002033 ") and foreign.returncode == 1, foreign
    assert (tampered.stdout, tampered.returncode) == (foreign.stdout, foreign.returncode), tampered


def check_zegos(case, kit_token):
    """UIKit's "Kit Token" is a token04 and more behind a `#`."""
    case = {**case, "user": case["ascii_user"]}
    token, _, more = kit_token.partition("#")
    assert json.loads(base64.b64decode(more))["userID"] == case["user"]
    end, _, content = decrypt(token, case["key"])
    del content["nonce"]
    last = case["now"] + case["expire"]
    assert content == {"app_id": case["app"], "user_id": case["user"], "ctime": case["now"], "expire": last} and end == last
    check_verdicts(case, token)
    whole = run(case, "verify", f"--now={last}", kit_token)
    assert whole.stdout.startswith("1002075 ") and "Kit Token" in whole.stdout, whole


def main():
    rng = random.Random(SEED)
    cases = [make_case(rng) for _ in range(ROUNDS)]
    node = ["node", "-e", NODE]
    answer = subprocess.run(
        node, cwd=FOLDER, input=json.dumps(cases), capture_output=True, text=True, check=True
    )
    for case, kit_token in zip(cases, json.loads(answer.stdout), strict=True):
        try:
            check_ours(case)
            for mode in ("cbc", "gcm"):
                check_verdicts(case, encrypt(rng, {**case, "mode": mode}))
            check_zegos(case, kit_token)
        except AssertionError:
            print(f"seed {SEED}, case {case}", file=sys.stderr)
            raise
    print(f"ok: {ROUNDS} of our tokens are decrypted by another implementation, and {3 * ROUNDS} of others' are verified, "
          f"{ROUNDS} of them by ZEGO's own UIKit")


main()
