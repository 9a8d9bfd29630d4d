"""ids.json, fingerprints.json, and the small tables: serials.json, closes.json, reasons.json, continuity.json."""

from hashlib import sha256

from tests.vectors.checks.forms import Json

from muster_protocol.closes import CloseCode, after_close, after_refusal, is_stop
from muster_protocol.codec import convert
from muster_protocol.continuity import Proof, genuine, hub_secret, issue, judge, judge_command_line, prove
from muster_protocol.enrolment import Invitation, parse_invitation
from muster_protocol.hub_keys import SignedHubRotation
from muster_protocol.hub_tls import certify, check, shown_voucher
from muster_protocol.ids import (
    ClientId,
    EnrolmentCode,
    Fingerprint,
    Hash,
    Nonce,
    Seed,
    Serial,
    Signature,
    TimeMs,
    client_id,
    parse_client_id,
    session_id,
)
from muster_protocol.keys import PublicKey, SigningKey
from muster_protocol.reasons import REASONS, Reason
from muster_protocol.serials import Version, compare, is_ahead, is_behind, next_about, next_serial, wins
from muster_protocol.words import word_list, words


def check_ids(given: Json) -> Json:
    match given["op"]:
        case "client_id":
            return {"client_id": client_id(given["alg"], bytes.fromhex(given["genesis_public"]))}
        case "session_id":
            seed = Seed(bytes.fromhex(given["seed"]))
            return {"session_id": session_id(ClientId(given["creator"]), seed)}
        case "spelled":
            return {"client_id": parse_client_id(given["text"])}
    raise KeyError(given["op"])


def check_fingerprints(given: Json) -> Json:
    match given["op"]:
        case "words":
            listed = "".join(f"{word}\n" for word in word_list()).encode()
            return {"count": len(word_list()), "sha256": sha256(listed).hexdigest()}
        case "spell":
            return {"words": list(words(Fingerprint(bytes.fromhex(given["fingerprint"]))))}
        case "fingerprint":
            key = convert([given["alg"], bytes.fromhex(given["public"])], PublicKey).check()
            return {"fingerprint": key.fingerprint.hex(), "words": list(words(key.fingerprint))}
    raise KeyError(given["op"])


def check_enrolment(given: Json) -> Json:
    if given["op"] == "write":
        hub, code = bytes.fromhex(given["hub"]), bytes.fromhex(given["code"])
        return {"text": Invitation(given["url"], Fingerprint(hub), EnrolmentCode(code)).text()}
    read = parse_invitation(given["text"])
    return {"url": read.url, "hub": read.hub.hex(), "code": read.code.hex()}


def check_hub_tls(given: Json) -> Json:
    spki = bytes.fromhex(given["spki"])
    if given["op"] == "certify":
        rotations = tuple(
            SignedHubRotation(bytes.fromhex(link["body"]), Signature(bytes.fromhex(link["signature"])))
            for link in given["rotations"]
        )
        return {"extension": certify(SigningKey.from_secret(bytes.fromhex(given["hub_secret"])), rotations, spki).hex()}
    found = check(shown_voucher(bytes.fromhex(given["extension"]), spki), Fingerprint(bytes.fromhex(given["pinned"])))
    key = {"alg": found.key.alg, "public": found.key.public.hex()}
    return {"hub_key": key, "fingerprint": found.fingerprint.hex(), "followed": found.followed}


def _version(form: Json | None) -> Version | None:
    return None if form is None else Version(Serial(form["serial"]), Hash(bytes.fromhex(form["hash"])))


def check_serials(given: Json) -> Json:
    if given["op"] == "next":
        return {"serial": next_serial(given["last"], TimeMs(given["now"]), given["hub_at"])}
    if given["op"] == "about":
        known = [Serial(one) for one in given["known"]]
        return {"serial": next_about(Serial(given["next"]), known, given["hub_at"])}
    if given["op"] == "ahead":
        return {"ahead": is_ahead(Serial(given["serial"]), TimeMs(given["now"]))}
    if given["op"] == "behind":
        return {"behind": is_behind(TimeMs(given["now"]), TimeMs(given["reached"]))}
    held, new = _version(given["held"]), _version(given["new"])
    if new is None:
        raise KeyError("new")
    return {"verdict": compare(held, new).value, "wins": wins(held, new)}


def check_closes(given: Json) -> Json:
    code: int = given["code"]
    known = {each.value: each.name.lower() for each in CloseCode}
    return {
        "name": known.get(code),
        "stop": is_stop(code),
        "after_close": after_close(code).value,
        "after_refusal": after_refusal(code, pinned=True).value,
        "after_refusal_of_another_hub": after_refusal(code, pinned=False).value,
    }


def check_reasons(given: Json) -> Json:
    info = REASONS[Reason(given["reason"])]
    return {
        "code": info.code,
        "category": info.category.value,
        "sayers": sorted(sayer.value for sayer in info.sayers),
        "retry": info.retry,
        "sentence": info.sentence,
        "next_step": info.next_step,
    }


def check_continuity(given: Json) -> Json:
    if given["op"] == "judge":
        return {"verdict": judge(given["presented"], given["confirmed"], given["issued"]).value}
    if given["op"] == "judge_command_line":
        confirmed_ms, challenged_ms = given["confirmed_at"], given["challenged_at"]
        verdict = judge_command_line(
            given["presented"], given["confirmed"], confirmed_ms=confirmed_ms, challenged_ms=challenged_ms
        )
        return {"verdict": verdict.value}
    secret = hub_secret(bytes.fromhex(given["hub_key_secret"]))
    client = ClientId(given["client"])
    challenge, hello = (Nonce(bytes.fromhex(given[name])) for name in ("challenge", "hello"))
    if given["op"] == "genuine":
        proof = Proof(given["counter"], bytes.fromhex(given["proof"]))
        return {"genuine": genuine(secret, client, proof, challenge, hello)}
    token = issue(secret, client, given["counter"])
    shown = prove(token, challenge, hello)
    return {"mac_key": secret.hex(), "token": token.mac.hex(), "proof": shown.mac.hex()}
