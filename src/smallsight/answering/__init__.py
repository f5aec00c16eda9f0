"""Questions from any protocol: opened, asked, and answered; tenants translate their bodies to and from it."""
