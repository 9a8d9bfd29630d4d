"""``muster hub``: run a node of a hub on this machine."""

import os
from collections.abc import Mapping
from typing import Annotated, Any, Final

import typer

from muster_hub.cli import enrolment as enrolment_commands
from muster_hub.cli.operator import default_data_dir
from muster_hub.config.hub_key import HubKeyError
from muster_hub.config.settings import ENVIRONMENT, SettingError, Settings, load
from muster_hub.process.check import checked
from muster_hub.process.service import REFUSED, run
from muster_hub.store.errors import StoreRefused

DONE: Final = 0

app = typer.Typer(name="hub", rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)
app.add_typer(enrolment_commands.app)


def _option(text: str, metavar: str) -> Any:  # noqa: ANN401 - what the framework takes as a default
    return typer.Option(help=text, metavar=metavar, show_default=False)


@app.callback(invoke_without_command=True)
def hub(
    context: typer.Context,
    *,
    listen: Annotated[
        str | None, _option("Address to listen on. Default: 127.0.0.1:7627. Port 0: any free port.", "HOST:PORT")
    ] = None,
    origin: Annotated[
        list[str] | None, _option("URL that devices dial, if it differs from --listen. Repeatable.", "URL")
    ] = None,
    store: Annotated[
        str | None,
        _option("Valkey or Redis server: redis://..., unix:///... Default: the embedded store.", "URL"),
    ] = None,
    store_replicas: Annotated[
        str | None, _option("Replicas that must hold a write before it is acknowledged. Default: 0.", "N")
    ] = None,
    store_memory_mib: Annotated[
        str | None, _option("Memory for the data of the embedded store. Default: 1024.", "MIB")
    ] = None,
    data_dir: Annotated[str | None, _option("Folder for the hub's key and the embedded store.", "PATH")] = None,
    key_file: Annotated[
        str | None, _option("The hub's key file, the same for all its nodes. Default: DATA/hub.key.", "PATH")
    ] = None,
    tls: Annotated[
        str | None,
        _option(
            "Without --tls-cert: own (a certificate that the hub makes, for devices with an invitation), off, or auto:"
            " own where other machines dial this hub itself. Default: auto.",
            "WHO",
        ),
    ] = None,
    tls_cert: Annotated[
        str | None, _option("Certificate chain (PEM). With it the hub itself ends TLS.", "PATH")
    ] = None,
    tls_key: Annotated[str | None, _option("Private key of the certificate (PEM).", "PATH")] = None,
    trusted_proxy: Annotated[
        list[str] | None,
        _option(
            "Address or network of a proxy whose word counts on whose connection it hands on: PROXY protocol,"
            " X-Forwarded-For, Forwarded. Repeatable.",
            "NETWORK",
        ),
    ] = None,
    insecure: Annotated[
        bool | None,
        typer.Option(
            "--insecure/--no-insecure", help="Accept ws:// (without TLS) from other machines.", show_default=False
        ),
    ] = None,
    enrolment: Annotated[
        str | None,
        _option(
            "Which devices may connect: open (any), invited (those with an invitation, and those that you name), listed"
            " (those that you name). Default: open where only this machine reaches the hub, else invited.",
            "WHICH",
        ),
    ] = None,
    workers: Annotated[str | None, _option("Worker processes that share the port. Default: 1.", "N")] = None,
    stop_grace_s: Annotated[
        str | None, _option("Time from /readyz saying that the hub stops to the stop. Default: 0.2.", "SECONDS")
    ] = None,
    max_entering: Annotated[
        str | None, _option("Devices admitted at the same time; others wait. Default: 64.", "N")
    ] = None,
    max_per_address: Annotated[
        str | None,
        _option(
            "Connections from one address (IPv6: a /64). Default: 2000. 0: no limits by address.",
            "N",
        ),
    ] = None,
    units_per_address: Annotated[
        str | None,
        _option(
            "Work that devices of one address may cause in a second, in signature checks. Default: 1000. 0: no limit.",
            "N",
        ),
    ] = None,
    store_mib_per_address: Annotated[
        str | None,
        _option(
            "MiB that devices of one address may leave in the store at once, and a twelfth each day. Default: 32. 0: no"
            " limit.",
            "MIB",
        ),
    ] = None,
    log_format: Annotated[
        str | None, _option("Log format: auto (text on a terminal, else JSON), json or text.", "FORMAT")
    ] = None,
    log_level: Annotated[str | None, _option("Lowest level to log: debug, info, warning or error.", "LEVEL")] = None,
    config: Annotated[str | None, _option('TOML file with the same settings: log_level = "info".', "FILE")] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Check the settings, print the values in force, and exit.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON line when ready: url, urls, tls, fingerprint, pid.")
    ] = False,
) -> None:
    """Run a hub. Without options it serves this machine alone and uses the embedded store. Ctrl-C stops it.

    Each option is also an environment variable (MUSTER_HUB_LISTEN for --listen) and a line of the --config file. An
    option overrides the environment, and the environment overrides the file. Exit codes: 0 stopped as asked, 1 stopped
    by a failure, 2 a setting is not usable, 130 stopped by a second Ctrl-C.
    """
    if context.invoked_subcommand is not None:
        context.obj = data_dir
        return
    flags = {
        "listen": listen,
        "origin": tuple(origin or ()),
        "store": store,
        "store_replicas": store_replicas,
        "store_memory_mib": store_memory_mib,
        "data_dir": data_dir,
        "key_file": key_file,
        "tls": tls,
        "tls_cert": tls_cert,
        "tls_key": tls_key,
        "trusted_proxy": tuple(trusted_proxy or ()),
        "insecure": insecure,
        "enrolment": enrolment,
        "workers": workers,
        "stop_grace_s": stop_grace_s,
        "max_entering": max_entering,
        "max_per_address": max_per_address,
        "units_per_address": units_per_address,
        "store_mib_per_address": store_mib_per_address,
        "log_format": log_format,
        "log_level": log_level,
        "config": config,
    }
    raise typer.Exit(_run(flags, check=check, as_json=as_json))


def _run(flags: Mapping[str, object], *, check: bool, as_json: bool) -> int:
    try:
        settings = load(flags, os.environ, data_dir=default_data_dir())
        shown = checked(settings)
        if check:
            typer.echo(shown.json() if as_json else shown.text())
            return DONE
        return run(settings, as_json=as_json)
    except SettingError as error:
        return _refused(_where_set(error.setting), str(error))
    except StoreRefused as error:
        return _refused(_where_set(error.setting), str(error))
    except HubKeyError as error:
        return _refused(_where_set("key_file"), f"key_file: {error}")


def _where_set(setting: str) -> str:
    if setting not in {*Settings.__struct_fields__, "config"}:
        return ""
    return f"  Set by --{setting.replace('_', '-')}, {ENVIRONMENT}{setting.upper()}, or in the --config file."


def _refused(hint: str, sentence: str) -> int:
    typer.echo(f"The hub was not started. {sentence}", err=True)
    if hint:
        typer.echo(hint, err=True)
    return REFUSED
