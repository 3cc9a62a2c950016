"""Files to canonical fields; every repair and every refusal has its rule here."""
