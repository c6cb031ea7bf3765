"""Tasks with n, chance and interval, and the page that shows them."""
