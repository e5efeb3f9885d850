"""`itemsapi purge`: delete what can matter no more."""

import click
from rich.progress import Progress

from itemsapi.cli.check import clock_is_off
from itemsapi.cli.context import opened
from itemsapi.cli.terminal import json_option, progress_bar, show
from itemsapi.issuer.issuer import Issuer
from itemsapi.issuer.retention import PurgeTarget, count, purge, purge_targets
from itemsapi.items.quota_recount import recount


@click.command
@json_option
def command(*, as_json: bool) -> None:
    """Delete what can matter no more, in small batches beside running requests.

    Sessions a day after they ended, revocations that no living token can meet, audit events past
    their retention, old tries at passwords, clients not seen for a month, and keys that nothing
    was signed with for a week. What is counted for quotas is counted anew. A host whose clock
    differs from the database's deletes nothing.
    """
    with opened() as services, progress_bar() as shown:
        if clock_is_off(services.database):
            raise click.ClickException(
                "this host's clock differs from the database's; set it, or purge on another host"
            )
        rows = [_purged(services.issuer, heap, shown) for heap in purge_targets(services.issuer)]
        rows.append({"heap": "quotas", "deleted": 0, "corrected": recount(services.database)})
    show(rows, ["heap", "deleted", "corrected"], as_json=as_json)


def _purged(issuer: Issuer, heap: PurgeTarget, shown: Progress) -> dict[str, object]:
    task = shown.add_task(heap.name.capitalize(), total=count(issuer, heap))
    deleted = purge(issuer, heap, lambda n: shown.advance(task, n))
    return {"heap": heap.name, "deleted": deleted, "corrected": 0}
