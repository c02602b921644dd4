"""Where each channel of METRICS 2.2 belongs, by heart: public platforms, the brand's own private ones, and places."""

from __future__ import annotations

PUBLIC = "tmall taobao jd douyin kuaishou xiaohongshu meituan ads"
PRIVATE = (
    "wecom community_group miniprogram official_account channels_live app website web sms email"
)
OFFLINE = "store store_flagship store_counter store_partner"
DOMAINS = {
    channel: domain
    for domain, channels in (("public", PUBLIC), ("private", PRIVATE), ("offline", OFFLINE))
    for channel in channels.split()
}
