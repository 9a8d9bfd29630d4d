"""What ``muster doctor`` writes, and how it ends."""

from muster_client.doctor.findings import ok, warn
from muster_client.paths import KEY_FILE


def test_a_failure_is_a_line_with_its_next_step_and_ends_with_1(cli):
    done = cli.run("doctor")
    assert done.code == 1
    failed, step = done.out.splitlines()
    assert failed.startswith("fail  device")
    assert step.split() == ["next:", "Run", "`muster", "init`."]


def test_the_document_has_the_worst_state_and_each_finding(laptop):
    (laptop.folder / KEY_FILE).chmod(0o644)
    done = laptop.run("doctor", "--json")
    assert (done.code, done.document["state"]) == (1, "fail")
    (finding,) = done.document["findings"]
    assert (finding["check"], finding["state"]) == ("key", "fail")
    assert "chmod 600" in finding["next_step"]


def test_warnings_alone_end_with_0(laptop, monkeypatch):
    async def only_a_warning(path):
        yield ok("device", "it is there")
        yield warn("agent", "No agent runs.", "Start it.")

    monkeypatch.setattr("muster_client.doctor.device.examine", only_a_warning)
    assert laptop.ok("doctor", "--json").document["state"] == "warn"
    assert [line.split()[0] for line in laptop.ok("doctor").out.splitlines()] == ["ok", "warn", "next:"]
