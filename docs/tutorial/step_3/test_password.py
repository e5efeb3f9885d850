from pathlib import Path

from visitor import PASSWORDS, sign_in

SHOP = Path(__file__).parent


def test_no_file_of_the_shop_contains_a_password(client, tmp_path):
    sign_in(client, "ada")
    files = [*SHOP.glob("app.py"), *SHOP.glob("*.json"), *tmp_path.iterdir()]
    for file in files:
        for password in PASSWORDS.values():
            assert password.encode() not in file.read_bytes()
