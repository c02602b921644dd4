"""Names of the demo world: brands, channels, source systems, goods, places, contract columns.

Everything here is invented. The contract columns repeat section 4 of the design on purpose: the
demo world must not take its idea of the contract from the code that it is used to test.
"""

from __future__ import annotations

from typing import NamedTuple


class Channel(NamedTuple):
    """One row of the `channels` vocabulary."""

    channel: str
    domain: str
    is_owned: bool
    is_free_reach: bool
    is_repeat_reach: bool
    name_zh: str


CHANNELS = (
    Channel("tmall", "public", False, False, True, "天猫旗舰店"),
    Channel("jd", "public", False, False, True, "京东旗舰店"),
    Channel("douyin", "public", False, False, True, "抖音"),
    Channel("xiaohongshu", "public", False, False, False, "小红书"),
    Channel("ads", "public", False, False, False, "信息流广告"),
    Channel("wecom", "private", True, True, True, "企业微信"),
    Channel("community_group", "private", True, True, True, "社群"),
    Channel("miniprogram", "private", True, True, True, "小程序"),
    Channel("official_account", "private", True, True, True, "公众号"),
    Channel("app", "private", True, True, True, "自有App"),
    Channel("website", "private", True, True, False, "官网"),
    Channel("sms", "private", True, False, True, "短信"),
    Channel("store_flagship", "offline", True, True, True, "品牌旗舰门店"),
    Channel("store_counter", "offline", True, True, True, "商场专柜"),
    Channel("store_partner", "offline", False, True, True, "经销商门店"),
)
CHANNEL_CODE = {row.channel: code for code, row in enumerate(CHANNELS)}


class Brand(NamedTuple):
    """A brand; `share` is the chance that it is a person's first brand."""

    brand_id: str
    name_zh: str
    prefix: str
    share: float
    categories: tuple[tuple[str, int], ...]


# Category and typical list price in yuan.
BRANDS = (
    Brand(
        "lanxi",
        "澜汐",
        "LX",
        0.50,
        (("洁面", 89), ("爽肤水", 139), ("精华", 369), ("面霜", 269), ("防晒", 129), ("面膜", 99)),
    ),
    Brand(
        "muyuan",
        "沐原",
        "MY",
        0.33,
        (("洗衣液", 49), ("柔顺剂", 39), ("洗洁精", 19), ("地板清洁", 35), ("除菌喷雾", 45)),
    ),
    Brand(
        "jixia",
        "霁夏",
        "JX",
        0.17,
        (("香水", 459), ("沐浴露", 79), ("身体乳", 109), ("护手霜", 59)),
    ),
)
PRODUCTS_PER_CATEGORY = 4
PRODUCT_LINES = ("清和", "云岫", "朝露", "晚汀")

# Style of a time as text: 0 `YYYY-MM-DD HH:MM:SS`, 1 with `T`, both local; 2 `+08:00`; 3 `Z` (UTC).
SOURCES = (
    ("tmall", 0),
    ("jd", 1),
    ("douyin", 2),
    ("xiaohongshu", 1),
    ("ads", 3),
    ("miniprogram", 3),
    ("official_account", 2),
    ("wecom", 2),
    ("app", 3),
    ("website", 3),
    ("crm", 0),
    ("pos", 0),
)
SOURCE_CODE = {name: code for code, (name, _) in enumerate(SOURCES)}

EVENT_TYPES = (
    "ad_impression",
    "ad_click",
    "search_category",
    "search_brand",
    "content_view",
    "product_view",
    "store_view",
    "live_watch",
    "store_visit",
    "login",
    "register",
    "follow",
    "unfollow",
    "wecom_add",
    "wecom_delete",
    "group_join",
    "group_leave",
    "message_in",
    "interact",
    "comment",
    "share",
    "favorite",
    "cart_add",
    "cart_remove",
    "coupon_claim",
    "coupon_use",
    "sample_claim",
    "points_earn",
    "points_redeem",
    "review",
)
EVENT_CODE = {name: code for code, name in enumerate(EVENT_TYPES)}

IDENTIFIER_TYPES = (
    "member_id",
    "phone",
    "email",
    "unionid",
    "openid",
    "external_userid",
    "taobao_id",
    "jd_id",
    "douyin_id",
    "alipay_id",
    "card_no",
    "customer_no",
    "device_id",
    "cookie_id",
)

# Where a session happens. `shallow` and `deep` are the chances of each event type for people with
# low and high intent; relationships, registrations and reviews are generated apart.
PLATFORMS = (
    "tmall",
    "jd",
    "douyin",
    "xiaohongshu",
    "ads",
    "miniprogram",
    "official_account",
    "wecom",
    "app",
    "website",
    "store",
)
PLATFORM_CODE = {name: code for code, name in enumerate(PLATFORMS)}

_SHOP_SHALLOW = {
    "search_category": 0.12,
    "content_view": 0.10,
    "product_view": 0.48,
    "store_view": 0.16,
    "live_watch": 0.08,
    "favorite": 0.03,
    "search_brand": 0.03,
}
_SHOP_DEEP = {
    "search_brand": 0.09,
    "product_view": 0.40,
    "store_view": 0.12,
    "favorite": 0.08,
    "cart_add": 0.13,
    "cart_remove": 0.03,
    "live_watch": 0.06,
    "coupon_claim": 0.06,
    "interact": 0.03,
}
_OWN_SHALLOW = {
    "product_view": 0.50,
    "store_view": 0.16,
    "content_view": 0.16,
    "login": 0.10,
    "live_watch": 0.05,
    "coupon_claim": 0.03,
}
_OWN_DEEP = {
    "product_view": 0.36,
    "store_view": 0.09,
    "login": 0.12,
    "cart_add": 0.11,
    "cart_remove": 0.02,
    "favorite": 0.05,
    "coupon_claim": 0.07,
    "coupon_use": 0.03,
    "points_redeem": 0.03,
    "live_watch": 0.05,
    "share": 0.03,
    "sample_claim": 0.02,
    "interact": 0.02,
}
_VIDEO_SHALLOW = {
    "content_view": 0.44,
    "live_watch": 0.30,
    "product_view": 0.18,
    "comment": 0.03,
    "share": 0.02,
    "favorite": 0.03,
}
_VIDEO_DEEP = {
    "content_view": 0.28,
    "live_watch": 0.30,
    "product_view": 0.22,
    "comment": 0.05,
    "share": 0.03,
    "favorite": 0.05,
    "cart_add": 0.07,
}
_NOTES = {
    "content_view": 0.68,
    "search_category": 0.10,
    "search_brand": 0.06,
    "favorite": 0.08,
    "comment": 0.04,
    "share": 0.04,
}
_ADS = {"ad_impression": 0.83, "ad_click": 0.14, "content_view": 0.03}
_ACCOUNT = {"content_view": 0.75, "interact": 0.14, "share": 0.07, "comment": 0.04}
_CONTACT = {
    "message_in": 0.35,
    "content_view": 0.30,
    "interact": 0.25,
    "share": 0.05,
    "comment": 0.05,
}
_STORE = {
    "store_visit": 0.72,
    "coupon_use": 0.09,
    "points_redeem": 0.07,
    "sample_claim": 0.07,
    "interact": 0.05,
}
PLATFORM_EVENTS = {
    "tmall": (_SHOP_SHALLOW, _SHOP_DEEP),
    "jd": (_SHOP_SHALLOW, _SHOP_DEEP),
    "douyin": (_VIDEO_SHALLOW, _VIDEO_DEEP),
    "xiaohongshu": (_NOTES, _NOTES),
    "ads": (_ADS, _ADS),
    "miniprogram": (_OWN_SHALLOW, _OWN_DEEP),
    "official_account": (_ACCOUNT, _ACCOUNT),
    "wecom": (_CONTACT, _CONTACT),
    "app": (_OWN_SHALLOW, _OWN_DEEP),
    "website": (_OWN_SHALLOW, _SHOP_DEEP),
    "store": (_STORE, _STORE),
}
PLATFORM_SOURCE = tuple(
    SOURCE_CODE["pos" if platform == "store" else platform] for platform in PLATFORMS
)
PLATFORM_CHANNEL = tuple(
    CHANNEL_CODE["store_flagship" if platform == "store" else platform] for platform in PLATFORMS
)


class Store(NamedTuple):
    """A shop; `brand` is the position of its brand in BRANDS."""

    store_id: str
    brand: int
    channel: int
    city: str


CITIES = (
    ("上海市", "上海", "徐汇区"),
    ("浙江省", "杭州", "西湖区"),
    ("江苏省", "南京", "鼓楼区"),
    ("广东省", "广州", "天河区"),
    ("广东省", "深圳", "南山区"),
    ("四川省", "成都", "锦江区"),
    ("湖北省", "武汉", "江汉区"),
    ("陕西省", "西安", "雁塔区"),
    ("北京市", "北京", "朝阳区"),
    ("福建省", "厦门", "思明区"),
)
STORES = tuple(
    Store(
        f"S{number + 1:03d}",
        number % len(BRANDS),
        CHANNEL_CODE[("store_flagship", "store_counter", "store_partner")[(number // 3) % 3]],
        CITIES[number % len(CITIES)][1],
    )
    for number in range(18)
)
STAFF_PER_BRAND = 16
GROUPS_PER_BRAND = 12

ROADS = ("清溪路", "望湖街", "云栖大道", "南屏路", "石桥街", "松月路", "春申街", "白鹭路", "竹影巷")
SURNAMES = tuple("赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨朱秦尤许何吕施张孔曹严华金魏陶姜")
GIVEN_NAMES = tuple(
    first + second
    for first in ("", "子", "思", "雨", "嘉", "梓", "明", "若")
    for second in "涵宁轩妍辰悦彤楠晴琪霖然"
)

ORDER_STATUSES = ("created", "paid", "shipped", "completed", "cancelled")
MEMBERSHIP_EVENTS = ("join", "quit", "tier")
TIERS = ("silver", "gold", "platinum")
FAILED_REASONS = ("number_unreachable", "blocked_by_user", "quota_exceeded")


def _names(text: str) -> list[str]:
    return text.split()


CONTRACT = {
    "touchpoints": _names(
        "event_id source_system brand_id occurred_at event_type channel identifier_type"
        " identifier_value product_id campaign_id content_id store_id staff_id value"
    ),
    "orders": _names(
        "order_id source_system brand_id identifier_type identifier_value ordered_at paid_at"
        " status channel store_id staff_id amount discount_amount campaign_id coupon_id"
    ),
    "refunds": _names(
        "refund_id source_system brand_id order_id identifier_type identifier_value refunded_at"
        " amount"
    ),
    "order_lines": _names("order_id source_system line_number product_id quantity line_amount"),
    "products": _names("product_id brand_id category name list_price unit_cost launched_on"),
    "identity_links": _names("source_system left_type left_value right_type right_value linked_at"),
    "profiles": _names(
        "source_system identifier_type identifier_value name gender birth_date phone email"
        " province city address updated_at"
    ),
    "memberships": _names(
        "brand_id member_id event occurred_at tier channel store_id staff_id identifier_type"
        " identifier_value"
    ),
    "campaigns": _names("campaign_id brand_id name scenario channel starts_on ends_on budget"),
    "campaign_costs": _names("campaign_id date channel impressions clicks cost"),
    "messages": _names(
        "message_id channel campaign_id identifier_type identifier_value sent_at delivered_at"
        " opened_at clicked_at failed_reason unsubscribed_at is_control"
    ),
    "referrals": _names(
        "referral_id inviter_type inviter_value invitee_type invitee_value invited_at accepted_at"
    ),
    "erasure_requests": _names("identifier_type identifier_value requested_at"),
}

REQUIRED = {
    "touchpoints": _names(
        "event_id source_system occurred_at event_type identifier_type identifier_value"
    ),
    "orders": _names("order_id source_system ordered_at status amount"),
    "refunds": _names("refund_id source_system refunded_at amount"),
    "order_lines": _names("order_id source_system line_number product_id quantity line_amount"),
    "products": ["product_id"],
    "identity_links": _names("source_system left_type left_value right_type right_value"),
    "profiles": _names("source_system identifier_type identifier_value"),
    "memberships": _names("brand_id member_id event occurred_at"),
    "campaigns": _names("campaign_id name starts_on ends_on"),
    "campaign_costs": _names("campaign_id date cost"),
    "messages": _names("message_id channel identifier_type identifier_value sent_at"),
    "referrals": _names("referral_id inviter_type inviter_value invited_at"),
    "erasure_requests": _names("identifier_type identifier_value requested_at"),
}

# What a row is told apart by; the same key landed again is a repeat or a new version.
NATURAL_KEY = {
    "touchpoints": ["source_system", "event_id"],
    "orders": ["source_system", "order_id"],
    "refunds": ["source_system", "refund_id"],
    "order_lines": ["source_system", "order_id", "line_number"],
    "products": ["product_id"],
    "identity_links": CONTRACT["identity_links"],
    "profiles": ["source_system", "identifier_type", "identifier_value"],
    "memberships": ["brand_id", "member_id", "event", "occurred_at"],
    "campaigns": ["campaign_id"],
    "campaign_costs": ["campaign_id", "date", "channel"],
    "messages": ["message_id"],
    "referrals": ["referral_id"],
    "erasure_requests": CONTRACT["erasure_requests"],
}

TIME_COLUMNS = {
    "touchpoints": ["occurred_at"],
    "orders": ["ordered_at", "paid_at"],
    "refunds": ["refunded_at"],
    "identity_links": ["linked_at"],
    "profiles": ["updated_at"],
    "memberships": ["occurred_at"],
    "messages": ["sent_at", "delivered_at", "opened_at", "clicked_at", "unsubscribed_at"],
    "referrals": ["invited_at", "accepted_at"],
    "erasure_requests": ["requested_at"],
}
DATE_COLUMNS = {
    "products": ["launched_on"],
    "profiles": ["birth_date"],
    "campaigns": ["starts_on", "ends_on"],
    "campaign_costs": ["date"],
}
MONEY_COLUMNS = {
    "orders": ["amount", "discount_amount"],
    "refunds": ["amount"],
    "order_lines": ["line_amount"],
    "products": ["list_price", "unit_cost"],
    "campaigns": ["budget"],
    "campaign_costs": ["cost"],
}
INTEGER_COLUMNS = {
    "touchpoints": ["value"],
    "order_lines": ["line_number", "quantity"],
    "campaign_costs": ["impressions", "clicks"],
}
BOOLEAN_COLUMNS = {"messages": ["is_control"]}
