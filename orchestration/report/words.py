"""Everything the report says, in Chinese and English, and how it writes numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date

LANGUAGES = ("zh", "en")
LIGHTS = ("red", "amber", "green", "none")

# key: (Chinese, English)
_TEXTS: dict[str, tuple[str, str]] = {
    "title": ("消费者运营日报", "Consumer health report"),
    "brand": ("品牌", "Brand"),
    "as_of": ("数据截至", "As of"),
    "status_ok": ("数据完整", "Data complete"),
    "status_held": ("有批次被扣留", "Held"),
    "status_hold": ("暂缓发布", "Held"),
    "status_empty": ("没有数据", "No data"),
    "headline_empty": (
        "到这一天为止，这个品牌还没有一位可识别的消费者。",
        "Up to this day the brand has no customer that can be recognised.",
    ),
    "headline_red": ("今天要处理：{names}。", "Act today: {names}."),
    "headline_amber": ("留意：{names}。", "Watch: {names}."),
    "headline_green": ("四项都在正常范围。", "All four are within their usual range."),
    "headline_rest": ("其余正常。", "The rest is fine."),
    "headline_none": ("数据还不够下结论。", "There is not enough data to judge."),
    "headline_unjudged": ("数据不够下结论：{names}。", "Not enough data to judge: {names}."),
    "headline_hold": (
        "{day}的数据没有发布，以下是{shown}的数字。",
        "{day} was not published; these are the figures of {shown}.",
    ),
    "headline_held": ("数字可能不完整。", "Figures may be incomplete."),
    "joiner": ("、", ", "),
    "space": ("", " "),
    "colon": ("：", ": "),
    "light_green": ("正常", "Fine"),
    "light_amber": ("留意", "Watch"),
    "light_red": ("处理", "Act"),
    "light_none": ("无法判断", "Not judged"),
    "letter_F": ("可运营人群", "Fertility"),
    "letter_A": ("关系加深率", "Advancing"),
    "letter_S": ("会员总量", "Superiority"),
    "letter_T": ("会员活跃率", "Thriving"),
    "explain_F": ("今天处在 A、I、P、L 任一层的人", "People in A, I, P or L today"),
    "explain_A": (
        "七天前的人群里，今天走到更深一层的比例",
        "Share of last week's people now one stage deeper",
    ),
    "explain_S": ("今天有效的会员", "Members today"),
    "explain_T": (
        "会员中 30 天内加购、收藏、用券或购买的比例",
        "Members with a cart, favourite, coupon or purchase in 30 days",
    ),
    "explain_T_180": ("会员中 180 天内有互动的比例", "Members with any interaction in 180 days"),
    "against_week": ("较 7 天前", "vs 7 days ago"),
    "points": ("个百分点", "pp"),
    "suggestion": ("建议", "Suggestion"),
    "trend": ("近 {days} 天，{low}–{high}", "Last {days} days, {low}–{high}"),
    "flat_trend": ("近 {days} 天一直是 {low}", "{low} for the last {days} days"),
    "no_trend": ("只有一天的数据，还画不出走势。", "One day of data: no trend yet."),
    "reason_F": (
        "七天里新增 {new} 人，流失 {lost} 人。",
        "In seven days {new} came and {lost} left.",
    ),
    "reason_A": (
        "{base} 人里有 {deepened} 人加深，上一周是 {before} 人。",
        "{deepened} of {base} went deeper; the week before it was {before}.",
    ),
    "reason_A_new": ("{base} 人里有 {deepened} 人加深。", "{deepened} of {base} went deeper."),
    "reason_A_step": (
        "降得最多的是从 {stage} 加深：{rate}，上一周 {before}。",
        "The largest fall is out of {stage}: {rate}, the week before {before}.",
    ),
    "reason_S": ("会员连同粉丝共 {all} 人。", "Members and followers together are {all}."),
    "reason_T": ("{total} 位会员里 {active} 位活跃。", "{active} of {total} members are active."),
    "drivers": ("主要变动", "What moved it"),
    "drivers_points": ("主要变动（个百分点）", "What moved it (pp)"),
    "driver_entered": ("进入 {stage}", "Entered {stage}"),
    "driver_left": ("离开 {stage}", "Left {stage}"),
    "driver_entered_superiority": ("新增：{stage}", "New: {stage}"),
    "driver_left_superiority": ("减少：{stage}", "Gone: {stage}"),
    "driver_numerator_advancing": ("从 {stage} 加深的人", "Deepened out of {stage}"),
    "driver_denominator_advancing": ("七天前在 {stage} 的人", "In {stage} a week ago"),
    "driver_numerator_thriving": ("活跃会员", "Active members"),
    "driver_denominator_thriving": ("基数：{stage}", "Base: {stage}"),
    "any_stage": ("各层", "any stage"),
    "cause_behaviour": ("（有新行为）", " (a new action)"),
    "cause_relationship": ("（入会、退会等）", " (joined or quit)"),
    "cause_refund": ("（退款）", " (refund)"),
    "cause_window": ("（久无行为）", " (silent too long)"),
    "cause_comparison": ("（七天窗口前移）", " (the week moved on)"),
    "by_dimension": ("{dimension}：{value}", "{dimension}: {value}"),
    "dimension_channel": ("渠道", "Channel"),
    "dimension_acquisition_channel": ("来源渠道", "Acquired through"),
    "dimension_behaviour": ("行为", "Action"),
    "behaviour_purchase": ("购买", "Purchase"),
    "behaviour_join": ("入会", "Joined as a member"),
    "behaviour_other": ("其他", "Other"),
    "chance": (
        "人数少，变化可能只是随机波动，所以最多亮黄灯。",
        "Few cases: the change may be chance, so amber at most.",
    ),
    "few": ("不到 {few} 人，不下结论。", "Fewer than {few} people: no verdict."),
    "no_picture": (
        "不到 {few} 人，画图没有意义，看下面的数字。",
        "Fewer than {few} people make no picture; see the figures.",
    ),
    "no_value_A": ("七天前没有可以加深的人。", "Nobody could go deeper seven days ago."),
    "no_value_T": ("还没有会员。", "There are no members yet."),
    "no_value": ("没有这一项的数据。", "No data for this figure."),
    "no_before": ("七天前没有可比的数。", "Nothing to compare with seven days ago."),
    "no_limits": (
        "没有设阈值（种子表 report_thresholds）。",
        "No limits are set (seed report_thresholds).",
    ),
    "stock": ("人群存量", "People by stage"),
    "stock_lead": (
        "每天处在 A、I、P、L 的人数，近 {days} 天；浅色竖带是大促。",
        "People in A, I, P and L per day, last {days} days; pale bands are promotions.",
    ),
    "no_stock": (
        "还没有两天以上的存量，画不出走势。",
        "Fewer than two days of stock: no picture yet.",
    ),
    "flow": ("一周流转", "A week of movement"),
    "flow_lead": (
        "左边是 {from} 的人群，右边是 {to}。往上走是加深，往下走是变浅。",
        "Left: where people stood on {from}; right: on {to}. Upwards is deeper.",
    ),
    "flow_empty": (
        "这七天没有人在任何一层，没有流转。",
        "Nobody was in any stage in these seven days.",
    ),
    "from_none": ("新进入", "New"),
    "to_none": ("离开", "Left"),
    "direction_new": ("新增", "New"),
    "direction_forward": ("加深", "Deeper"),
    "direction_stayed": ("维持", "Stayed"),
    "direction_backward": ("变浅", "Shallower"),
    "direction_lost": ("流失", "Lost"),
    "moves": ("人数最多的变动", "Largest movements"),
    "no_moves": ("这七天没有人换层。", "Nobody changed stage in these seven days."),
    "every_flow": ("每一种流转的人数", "Every movement in numbers"),
    "from": ("从", "From"),
    "to": ("到", "To"),
    "kind": ("类型", "Kind"),
    "people": ("人数", "People"),
    "rate": ("占起始层", "Of the stage"),
    "funnel": ("AIPL 漏斗", "AIPL funnel"),
    "funnel_lead": (
        "每层人数与七天变化；“走深”是离开这一层的人里往深处走的比例，“走深天数”是所需天数的中位。",
        "People per stage and change in seven days. Deeper: share of past stays that ended in a deeper stage. Median days: how long that took.",
    ),
    "five_r": ("5R 人群", "5R"),
    "five_r_lead": (
        "腾讯智慧零售的五层关系，同一批人换一把尺子。",
        "Tencent's five layers: the same people, another ruler.",
    ),
    "star": ("STAR 月度", "STAR of the month"),
    "star_lead": (
        "{month}{state}：期末每层的结构（会员、可触达、复购占比），一月里的流转与活跃（走深、流失、活跃），以及带来的生意。",
        "{month}{state}: the mix of each layer at its end, how its people moved and acted, and what they bought.",
    ),
    "star_running": ("（未完）", " (running)"),
    "no_star": ("还没有一个月的 STAR。", "There is no month of STAR yet."),
    "member_share": ("会员", "Members"),
    "reachable_share": ("可触达", "Reachable"),
    "repeat_share": ("复购", "Repeat"),
    "lost_rate": ("流失", "Lost"),
    "active_rate": ("活跃", "Active"),
    "conversion_rate": ("购买率", "Bought"),
    "goals": ("经营目标", "Goals"),
    "goal_rate": ("{base} 人中的 {rate}", "{rate} of {base} people"),
    "goal_acquisition": ("拉新", "Win new people"),
    "goal_pooling": ("蓄水", "Fill the pool"),
    "goal_seeding": ("种草", "Seed the wish"),
    "goal_conversion": ("转化", "Convert"),
    "aarrr": ("AARRR 增长", "AARRR"),
    "aarrr_lead": (
        "近七天对上一个七天；日活、月活、粘性与近一年的购买是当天的。",
        "Last seven days against the seven before; DAU, MAU, stickiness and the year's buyers are those of the day.",
    ),
    "no_aarrr": ("还没有 AARRR 的数据。", "There is no AARRR yet."),
    "step_acquisition": ("获客", "Acquisition"),
    "step_activation": ("激活", "Activation"),
    "step_retention": ("留存", "Retention"),
    "step_revenue": ("变现", "Revenue"),
    "step_referral": ("推荐", "Referral"),
    "aarrr_new_customers": ("新客", "New customers"),
    "aarrr_registrations": ("注册", "Registrations"),
    "aarrr_cac": ("获客成本", "Cost per customer"),
    "aarrr_activation_rate": ("激活率", "Activation rate"),
    "aarrr_logins": ("登录", "Logins"),
    "aarrr_dau": ("日活", "DAU"),
    "aarrr_mau": ("月活", "MAU"),
    "aarrr_stickiness": ("粘性", "Stickiness"),
    "aarrr_net_amount": ("净实付", "Net revenue"),
    "aarrr_buyers": ("近一年买家", "Buyers, 365 days"),
    "aarrr_repurchase": ("近一年复购率", "Repurchase, 365 days"),
    "aarrr_invites": ("邀请", "Invitations"),
    "aarrr_accepted": ("接受邀请", "Accepted"),
    "campaigns": ("进行中的活动", "Campaigns in flight"),
    "campaigns_lead": (
        "今天正在跑的 {count} 个活动，花费高的在前；成交按归因口径。",
        "{count} campaigns that run today, dearest first.",
    ),
    "no_campaigns": ("今天没有进行中的活动。", "No campaign runs today."),
    "campaign": ("活动", "Campaign"),
    "days_left": ("还剩 {days} 天", "{days} days left"),
    "last_day": ("最后一天", "last day"),
    "spent": ("花费 / 预算", "Spent / budget"),
    "reached": ("触达", "Reached"),
    "buyers": ("买家", "Buyers"),
    "new_buyers": ("其中新客 {count}", "{count} new"),
    "sales": ("净实付", "Net"),
    "roas": ("ROAS", "ROAS"),
    "scenario_acquisition": ("拉新", "acquisition"),
    "scenario_membership": ("会员", "membership"),
    "scenario_product": ("新品", "product"),
    "scenario_promotion": ("大促", "promotion"),
    "scenario_growth": ("增长", "growth"),
    "lifecycle": ("购买生命周期", "Purchase lifecycle"),
    "lifecycle_lead": (
        "从没买过到忠诚，每位客户只在一个阶段。",
        "From never bought to loyal; one stage per customer.",
    ),
    "no_stages": ("没有人处在这个模型的任何一层。", "Nobody is in any stage of this model."),
    "stage": ("分层", "Stage"),
    "share": ("占比", "Share"),
    "week": ("七天变化", "7 days"),
    "deeper": ("走深", "Deeper"),
    "days_to_next": ("走深天数", "Median days"),
    "leak": ("漏点", "Leak"),
    "leak_note": (
        "漏点：从这一层直接流失的人最多。",
        "Leak: the stage that loses most people outright.",
    ),
    "rfm": ("RFM 八类客户", "RFM: eight classes"),
    "rfm_lead": (
        "近一年买过的 {customers} 人、净实付 {money}，按最近（R）、频次（F）、金额（M）高低分八类。上条是人数占比，下条是金额占比。",
        "{customers} buyers of the last year, {money} net, split by recency, frequency and money. Upper bar: people; lower bar: money.",
    ),
    "no_rfm": (
        "近一年没有有效购买，RFM 没有可评分的客户。",
        "No valid purchase in the last year: nobody to score.",
    ),
    "money": ("金额", "Money"),
    "care": ("该联系的人", "Who to contact"),
    "care_lead": (
        "只有人数和归属导购；名单在 marts.repurchase_reminders 与 marts.churn_warnings。",
        "Counts and owners only; the lists are marts.repurchase_reminders and marts.churn_warnings.",
    ),
    "no_care": ("今天没有到期复购，也没有流失预警。", "Nobody is due and nobody is at risk today."),
    "due": ("到期提醒", "Due"),
    "due_note": ("到了预计复购日的客户", "Customers at their expected repurchase day"),
    "suppressed": ("暂不打扰", "Left alone"),
    "suppressed_note": ("刚下单、退款或提醒过", "Just ordered, refunded or reminded"),
    "warning": ("流失预警", "At risk"),
    "warning_note": ("超过预计周期 1.5 倍", "Past 1.5 times their cycle"),
    "churned": ("已流失", "Lost"),
    "churned_note": ("超过预计周期 3 倍", "Past 3 times their cycle"),
    "high_value": ("高价值 {count} 人", "{count} of high value"),
    "owner": ("归属导购", "Owner"),
    "no_owner": ("无归属", "No owner"),
    "other_owners": ("其余 {count} 位", "{count} others"),
    "quality": ("数据质量", "Data quality"),
    "quality_lead": (
        "全部品牌共用的落地数据；批次不分品牌。",
        "Landed data of all brands; batches are not per brand.",
    ),
    "no_quality": (
        "没有审计表，无法说明数据质量。",
        "There are no audit tables: nothing can be said.",
    ),
    "batches_today": ("当日批次", "Batches of the day"),
    "batches_all": ("累计 {count} 批", "{count} in all"),
    "batches_held": ("扣留", "Held"),
    "held_none": ("没有批次被扣留", "No batch is held"),
    "held_some": ("原因见页首", "Reasons at the top"),
    "quarantined": ("隔离行", "Rows in quarantine"),
    "of_landed": ("占落地行的 {rate}", "{rate} of the rows landed"),
    "conserved": ("行数守恒", "Rows conserved"),
    "conserved_yes": ("分毫不差", "To the row"),
    "conserved_no": ("对不上", "They do not add up"),
    "conserved_note": (
        "落地 {landed} = 采纳 {accepted} + 重复 {duplicate} + 被替代 {superseded} + 隔离 {quarantined} + 删除 {erased}",
        "{landed} landed = {accepted} accepted + {duplicate} duplicate + {superseded} superseded + {quarantined} quarantined"
        " + {erased} erased",
    ),
    "conserved_bad": (
        "相差 {rows} 行，见 audit.row_conservation",
        "Off by {rows} rows, see audit.row_conservation",
    ),
    "restated": ("指标重述", "Restated figures"),
    "restated_lead": (
        "近 {days} 天里，已经发布又变化的数字：迟到的数据改写过去。",
        "Figures of the last {days} days that changed after they had been published: late data restates the past.",
    ),
    "no_restated": (
        "近 {days} 天没有一个数字被重述。",
        "No figure of the last {days} days was restated.",
    ),
    "metric": ("指标", "Metric"),
    "days_changed": ("天数", "Days"),
    "largest_change": ("最大变化", "Largest change"),
    "metric_fertility": ("可运营人群", "Fertility"),
    "metric_fertility_active": ("活跃可运营人群", "Active fertility"),
    "metric_advancing_base": ("关系加深的基数", "Advancing base"),
    "metric_advancing_deepened": ("关系加深人数", "Advancing deepened"),
    "metric_superiority": ("会员总量", "Superiority"),
    "metric_superiority_super": ("会员与粉丝", "Members and followers"),
    "metric_thriving_active_30d": ("30 天活跃会员", "Members active in 30 days"),
    "metric_thriving_active_180d": ("180 天活跃会员", "Members active in 180 days"),
    "why_quarantined": ("隔离原因", "Why rows are in quarantine"),
    "rows": ("行数", "Rows"),
    "entities": ("实体", "Entities"),
    "no_quarantine": ("没有一行被隔离。", "No row is in quarantine."),
    "freshness": ("新鲜度", "Freshness"),
    "entity": ("实体", "Entity"),
    "latest_batch": ("最新批次", "Latest batch"),
    "undated": ("不分批", "undated"),
    "behind": ("落后天数", "Days behind"),
    "warned": ("警告", "Warnings"),
    "hold_title": ("{day}没有发布", "{day} was not published"),
    "hold_batches": (
        "下面的批次没有通过入口检查，读者看到的仍是上次发布的数据。重新投递、撤走，或用 ACCEPT_HELD=1 放行后，下一次运行自动补上。",
        "These batches failed the checks at the door, so readers keep what was published last. Land them again, take them away, or accept them (ACCEPT_HELD=1): the next run catches up.",
    ),
    "hold_build": (
        "建模没有通过，读者看到的仍是上次发布的数据。按下面的原因修好后，下一次运行自动补上。",
        "The build did not pass, so readers keep what was published last. Repair what is named below: the next run catches up.",
    ),
    "hold_erasure": (
        "删除个人信息的请求没有执行完毕，读者看到的仍是下面这一天的数据。",
        "A request to be erased could not be carried out; readers keep the figures of the day below.",
    ),
    "hold_gate": (
        "入口检查没能运行，读者看到的仍是上次发布的数据。下一次成功的运行自动补上。",
        "The checks at the door could not run, so readers keep what was published last. The next good run catches up.",
    ),
    "hold_serving": (
        "建模已完成，但发布没有成功，读者看到的仍是上次发布的数据。下一次成功的运行自动补上。",
        "The build is complete but was not published, so readers keep what was published last. The next good run catches up.",
    ),
    "hold_machine": (
        "运行被机器故障打断，数据没有丢失，读者看到的仍是上次发布的数据。按下面的原因处理后，再运行一次即可补上。",
        "A fault of the machine stopped the run. Nothing is lost and readers keep what was published last. Repair what is named below: the next run catches up.",
    ),
    "failed_not_null": (
        "{table} 的 {column} 有 {rows} 行为空。",
        "{table} has no {column} in {rows} of its rows.",
    ),
    "failed_unique": (
        "{table} 的 {column} 有 {rows} 个值重复。",
        "{column} of {table} has values that appear more than once: {rows}.",
    ),
    "failed_accepted_values": (
        "{table} 的 {column} 有 {rows} 行的取值不在允许之列。",
        "{column} of {table} has values that are not allowed in {rows} of its rows.",
    ),
    "failed_relationships": (
        "{table} 的 {column} 有 {rows} 行在另一张表里找不到。",
        "{column} of {table} points at nothing in {rows} of its rows.",
    ),
    "failed_test": (
        "检查 {name} 没有通过，{rows} 行不符。",
        "The check {name} failed; rows that do not hold: {rows}.",
    ),
    "failed_to_run": ("检查 {name} 没能运行。", "The check {name} could not run."),
    "failed_model": ("表 {name} 没有建成。", "The table {name} could not be built."),
    "held_title": ("被扣留的批次", "Batches that are held"),
    "held_lead": (
        "下面的批次没有通过入口检查，没有进入任何数字；其余批次照常更新。批次不分品牌，所以每个品牌都提示。",
        "These batches failed the checks at the door and are in no figure; the others were loaded. Batches are not per brand, so every brand says so.",
    ),
    "held_redelivery": (
        "新版本被扣留，旧版本仍在用",
        "a newer delivery is held, the older one is in use",
    ),
    "held_batch": ("批次 {batch}", "batch {batch}"),
    "held_more": ("另有 {count} 批，见 audit.batches。", "{count} more in audit.batches."),
    "original_build": ("原文", "In the words of the tool"),
    "original": ("检查原文", "In the words of the gate"),
    "identity": ("身份识别", "Identity"),
    "identity_lead": (
        "全部品牌合计：散落的标识归并成人的质量。",
        "All brands: how well scattered identifiers become people.",
    ),
    "no_identity": ("没有身份质量表。", "There is no table of identity quality."),
    "identification_rate.touchpoints": ("能识别到人的触点", "Touch-points with a known person"),
    "identification_rate.orders": ("能识别到人的订单", "Orders with a known person"),
    "cross_channel_rate.all": ("跨触点的客户", "Customers seen in more than one channel"),
    "merge_ratio.all": ("平均每人标识数", "Identifiers per customer"),
    "unionid_coverage.all": ("openid 有 unionid", "Openids with a unionid"),
    "member_bind_rate.wecom_contacts": (
        "企业微信联系人已绑会员",
        "WeCom contacts bound to a member",
    ),
    "member_bind_rate.openids": ("openid 已绑会员", "Openids bound to a member"),
    "pairwise_precision.all": ("归并准确率（演示真值）", "Pairwise precision (made-up truth)"),
    "pairwise_recall.all": ("归并召回率（演示真值）", "Pairwise recall (made-up truth)"),
    "pairwise_f1.all": ("归并 F1（演示真值）", "Pairwise F1 (made-up truth)"),
    "sizes": ("每位客户的标识数", "Identifiers per customer"),
    "refused": ("拒绝的归并：{count} 条", "Joins refused: {count}"),
    "refused.hub": ("枢纽标识", "hub"),
    "refused.contested": ("归属有争议", "contested"),
    "refused.blocked": ("在黑名单", "blocked value"),
    "refused.shared_device": ("共用设备", "shared device"),
    "refused.too_large": ("超过上限", "too large"),
    "about": (
        "由 Quanyu（全域）从 marts 生成，可离线打开；同名 JSON 是同样的内容。页内没有个人信息。",
        "Made by Quanyu (全域) from its marts; opens offline. The JSON of the same name holds the same content. No personal data.",
    ),
    "index": ("消费者运营日报", "Consumer health reports"),
    "no_brands": ("这一天没有任何品牌的数据。", "No brand has data on this day."),
    "no_days": ("还没有日报。", "There is no report yet."),
    "day": ("日期", "Day"),
}

# What a row is quarantined for: a piece of the reason that dbt wrote, first match first.
QUARANTINE_KINDS: dict[str, tuple[str, str, str]] = {
    "fields": (
        "fields where the header has",
        "列数与表头不符（引号或分隔符）",
        "Another number of fields than the header",
    ),
    "missing": ("is missing: it is required", "必填字段为空", "A required field is empty"),
    "no_type": ("is missing beside a", "有标识值而无标识类型", "An identifier without its type"),
    "long": (
        "characters, more than",
        "字段过长（列错位或缺引号）",
        "Too long: a shifted column or a missing quote",
    ),
    "unknown": ("is not in the seed", "取值不在词表里", "A value that is not in its seed"),
    "not_allowed": ("is none of", "取值不在允许范围", "A value outside the allowed ones"),
    "future": (
        "is after the date of its batch",
        "时间晚于批次日期",
        "Later than the date of its batch",
    ),
    "scientific": (
        "is in scientific notation",
        "编号变成科学计数法",
        "An id in scientific notation",
    ),
    "negative": ("is negative", "金额为负", "A negative amount"),
    "unreadable": (" is not ", "格式无法识别", "Cannot be read as its type"),
    "other": ("", "其他（见 audit.quarantine）", "Other (see audit.quarantine)"),
}

# Why a batch is held: a piece of the gate's or the intake's sentence, and the same in Chinese.
_HELD_ZH = {
    "none of its columns": "没有一列认得出来，像是缺表头。请核对表头与分隔符。",
    "missing required columns": "缺少必需的列，整批没有一行可用。请在导出里补上，或按约定改名。",
    "would be quarantined": "大部分行不合格会被隔离。请改正导出后重新投递。",
    "cannot be split": "很多行无法按列切开：分隔符、引号或字段数不对。请用一种分隔符重新导出。",
    "different keys": "主键大量重复，像是导出了两遍。请核对主键与导出。",
    "is empty in": "必填字段为空的行太多。请让来源补填，或修正导出映射。",
    "cannot be read in": "很多值无法识别（日期或数字格式不对）。请按约定的格式导出。",
    "is not in the list": "很多取值不在词表里。确属合法就补进种子表，否则在来源处改正。",
    "lies after the batch date": "很多时间晚于批次日期：时钟、时区或文件夹不对。",
    "appears more than once": "同一列名出现了两次。请只留一个。",
    "0 bytes": "文件是空的。请重新投递，或删掉它。",
    "still being written": "文件还在写入，下次运行会再试。请先写成 .tmp 再改名。",
    "cannot be opened": "文件打不开。请检查读取权限。",
    "damaged or cut off": "文件损坏或没传完。请重新投递。",
    "UTF-16": "文件编码像是 UTF-16。请另存为 UTF-8 后重新投递。",
    "UTF-8": "文件编码不是 UTF-8。请另存为 UTF-8 后重新投递。",
    "has no header": "文件没有表头。第一行必须是列名。",
    "the header cannot be split": "表头无法切成列。请修好第一行。",
    "delimiter looks like": "分隔符不是逗号。请用逗号导出。",
    "one object per line": "JSON 格式不对。请每行写一个对象。",
    "folder is not named": "批次文件夹的名字不是有效的 dt=YYYY-MM-DD。请改名。",
}
_HELD_ZH_OTHER = "没有通过入口检查，见检查原文。"


def texts(language: str) -> dict[str, str]:
    """All texts in one language."""
    if language not in LANGUAGES:
        raise ValueError(f"the report speaks {' and '.join(LANGUAGES)}, not {language!r}")
    return {key: pair[LANGUAGES.index(language)] for key, pair in _TEXTS.items()}


def held_in_words(reason: str, language: str) -> str:
    """A sentence of the gate in plain words, with its columns and counts; English is plain as it is."""
    if language == "en":
        return reason
    words = next((words for piece, words in _HELD_ZH.items() if piece in reason), None)
    if words is None:
        return _HELD_ZH_OTHER
    share = re.search(r"([\d,]+) of ([\d,]+) rows \(([\d.]+%)\)", reason)
    if share is None and "missing required columns" not in reason:
        return words
    columns = "、".join(re.findall(r"`(\w+)`", reason))
    counted = f"（{share[2]} 行里 {share[1]} 行，{share[3]}）" if share else ""
    return f"{columns}{counted}：{words}"


def failure_in_words(failure: Mapping, language: str) -> str:
    """A failed model or test of dbt (hold.node_failures) as a sentence."""
    said = texts(language)
    if failure["kind"] == "model":
        return said["failed_model"].format(**failure)
    if failure["rows"] is None:
        return said["failed_to_run"].format(**failure)
    key = f"failed_{failure['test']}"
    if key not in said or not failure["column"] or not failure["table"]:
        key = "failed_test"
    return said[key].format(**failure | {"rows": number(failure["rows"])})


def masked(text: str) -> str:
    """The text without anything that looks like a phone, an id or an e-mail address."""
    text = re.sub(r"[\w.+-]+@[\w-]+\.[\w.-]+", "…", text)
    return re.sub(r"(?<![\d-])\+?\d{7,}", "…", text)


def number(value: float | None, places: int = 0) -> str:
    """12345 as '12,345'; a missing value as a dash."""
    return "–" if value is None else f"{value:,.{places}f}".replace("-", "−")


def percent(value: float | None, places: int = 1) -> str:
    """0.0144 as '1.4%'."""
    return "–" if value is None else f"{value * 100:,.{places}f}%".replace("-", "−")


def signed(value: float | None, places: int = 0) -> str:
    """A change with its sign: '+12', '−3', '±0'."""
    if value is None:
        return "–"
    shown = f"{abs(value):,.{places}f}"
    if not float(shown.replace(",", "")):
        return f"±{shown}"
    return f"{'+' if value > 0 else '−'}{shown}"


def value_text(value: float | None, is_rate: bool) -> str:
    """A figure of FAST: '1,089' or '38.8%'."""
    return percent(value) if is_rate else number(value)


def change_text(change: float | None, relative: float | None, is_rate: bool, points: str) -> str:
    """Its change: '−16 (−1.4%)', or '−0.4 pp (−20.6%)' where `points` names the percentage point."""
    if change is None:
        return "–"
    if not change:
        return "±0"
    shown = f"{signed(change * 100, 1)} {points}" if is_rate else signed(change)
    return shown if relative is None else f"{shown} ({signed_percent(relative)})"


def signed_percent(value: float | None, places: int = 1) -> str:
    """A relative change with its sign: '−20.6%'."""
    return "–" if value is None else f"{signed(value * 100, places)}%"


def money(value: float | None, language: str) -> str:
    """Money in the brand's currency, short from ten thousand on: '21.9 万' or '219.0K'."""
    if value is None:
        return "–"
    units: Mapping[str, tuple[tuple[float, str], ...]] = {
        "zh": ((1e8, " 亿"), (1e4, " 万")),
        "en": ((1e9, "B"), (1e6, "M"), (1e3, "K")),
    }
    for size, unit in units[language]:
        if abs(value) >= max(size, 1e4):
            return number(value / size, 1) + unit
    return number(value)


def day(value: str, language: str, *, with_year: bool = False) -> str:
    """'2026-06-30' as '6月30日' or '30 June'."""
    at = date.fromisoformat(value)
    if language == "zh":
        return f"{at.year}年{at.month}月{at.day}日" if with_year else f"{at.month}月{at.day}日"
    months = "January February March April May June July August September October November December"
    words = f"{at.day} {months.split()[at.month - 1]}"
    return f"{words} {at.year}" if with_year else words
