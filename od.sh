bash /tmp/w-spark/tb.sh online_retail 10141
