"""`itemsapi purge`: delete expired data."""

import click

from itemsapi.cli.context import open_services
from itemsapi.cli.host_clock import clock_is_off
from itemsapi.cli.terminal import Progress, json_option, print_table, progress_bar
from itemsapi.db import Database
from itemsapi.issuer.issuer import Issuer
from itemsapi.issuer.retention import PurgeTarget, count_rows, purge, purge_targets
from itemsapi.items.quota import count_ranges, recount_usage


@click.command
@json_option
def command(*, as_json: bool) -> None:
    """Delete expired data in small batches, while the service keeps running.

    Deletes sessions one day after their end, revocations that no valid token can match, audit
    events past their retention, old login attempts, clients not seen for a month, and keys that
    signed nothing for a week. Recounts the quota usage. Deletes nothing if the clocks of this host
    and of the database differ.
    """
    with open_services() as services, progress_bar() as progress:
        if clock_is_off(services.database):
            raise click.ClickException(
                "this host's clock differs from the database's; set it, or purge on another host"
            )
        rows = [
            _purge_target(services.issuer, target, progress)
            for target in purge_targets(services.issuer)
        ]
        if services.database.items:
            corrected = _recount(services.database, progress)
            rows.append({"target": "quotas", "deleted": 0, "corrected": corrected})
    print_table(rows, ["target", "deleted", "corrected"], as_json=as_json)


def _recount(database: Database, progress: Progress) -> int:
    task = progress.add_task("Quotas", total=count_ranges(database))
    return recount_usage(database, lambda ranges: progress.advance(task, ranges))


def _purge_target(issuer: Issuer, target: PurgeTarget, progress: Progress) -> dict[str, object]:
    task = progress.add_task(target.name.capitalize(), total=count_rows(issuer, target))
    deleted = purge(issuer, target, lambda n: progress.advance(task, n))
    return {"target": target.name, "deleted": deleted, "corrected": 0}
