"""The contract file is read whole, and a contradiction in it is named."""

from __future__ import annotations

import textwrap

import pytest

from orchestration.contract import Column, ContractError, load_contract


def test_the_contract_holds_every_entity_of_the_landing_folder(contract):
    assert set(contract) == {
        "touchpoints",
        "orders",
        "refunds",
        "order_lines",
        "products",
        "identity_links",
        "profiles",
        "memberships",
        "campaigns",
        "campaign_costs",
        "messages",
        "referrals",
        "erasure_requests",
    }


def test_an_entity_knows_its_key_its_columns_and_their_rules(contract):
    orders = contract["orders"]
    assert orders.key == ("source_system", "order_id")
    assert orders.required_columns == (
        "order_id",
        "source_system",
        "ordered_at",
        "status",
        "amount",
    )
    assert orders.column("ordered_at") == Column(
        "ordered_at", "timestamp", required=True, not_after_batch=True
    )
    assert orders.column("status").values == (
        "created",
        "paid",
        "shipped",
        "completed",
        "cancelled",
    )
    assert orders.column("identifier_value").type_column == "identifier_type"
    assert contract["touchpoints"].column("event_type").vocabulary == "event_types"


@pytest.mark.parametrize(
    ("meta", "complaint"),
    [
        ("{kind: money}", "kind `money`"),
        ("{}", "kind `None`"),
        ("{kind: id, requird: true}", "unknown rule requird"),
        ("{kind: identifier_value, type_column: nowhere}", "`nowhere`"),
    ],
)
def test_a_contradiction_in_the_contract_is_named(tmp_path, meta, complaint):
    path = tmp_path / "sources.yml"
    path.write_text(
        textwrap.dedent(
            f"""
            sources:
              - name: landing
                tables:
                  - name: things
                    config: {{meta: {{key: [thing_id]}}}}
                    columns:
                      - name: thing_id
                        config: {{meta: {{kind: id}}}}
                      - name: other
                        config: {{meta: {meta}}}
            """
        )
    )
    with pytest.raises(ContractError, match=r"things.*" + complaint):
        load_contract(path)
