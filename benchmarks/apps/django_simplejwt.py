"""Django REST framework and simplejwt, as their documentation shows, in one file."""

import os
import sys
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import django
from bench.dataset import PAGE, PASSWORD, rows_of, user_names
from django.conf import settings
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.core.wsgi import get_wsgi_application

# What Django imports by name has to be this module, however it is started.
sys.modules.setdefault("django_simplejwt", sys.modules[__name__])


class Argon2(Argon2PasswordHasher):
    time_cost, memory_cost, parallelism = 2, 19456, 1


def database(address):
    if address.startswith("sqlite"):
        name = address.removeprefix("sqlite:///")
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": name}
    url = urlsplit(address)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": url.path[1:],
        "USER": url.username or "",
        "PASSWORD": url.password or "",
        "HOST": url.hostname or parse_qs(url.query).get("host", [""])[0],
        "PORT": url.port or "",
    }


settings.configure(
    SECRET_KEY=os.environ["BENCH_SECRET"],
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF="django_simplejwt",
    USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "rest_framework",
        "rest_framework_simplejwt.token_blacklist",
    ],
    DATABASES={"default": database(os.environ["BENCH_DATABASE"]) | {"CONN_MAX_AGE": None}},
    PASSWORD_HASHERS=["django_simplejwt.Argon2"],
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": [
            "rest_framework_simplejwt.authentication.JWTAuthentication"
        ],
        "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
        "DEFAULT_PAGINATION_CLASS": "rest_framework.pagination.LimitOffsetPagination",
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
        "PAGE_SIZE": PAGE,
    },
    SIMPLE_JWT={
        "ACCESS_TOKEN_LIFETIME": timedelta(hours=1),
        "ROTATE_REFRESH_TOKENS": True,
        "BLACKLIST_AFTER_ROTATION": True,
    },
)
django.setup()

from django.contrib.auth.hashers import make_password  # noqa: E402 - after setup
from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection, models, transaction  # noqa: E402
from django.urls import include, path  # noqa: E402
from rest_framework import routers, serializers, viewsets  # noqa: E402
from rest_framework_simplejwt.views import TokenObtainPairView, TokenRefreshView  # noqa: E402


class Item(models.Model):
    id = models.UUIDField(primary_key=True)
    owner = models.ForeignKey(User, models.CASCADE)
    name = models.CharField(max_length=200)
    description = models.TextField()
    sku = models.CharField(max_length=64, null=True)
    price = models.CharField(max_length=20)
    currency = models.CharField(max_length=3)
    quantity = models.IntegerField()
    tags = models.JSONField()
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        app_label = "items"
        indexes = (models.Index(fields=["owner", "created_at", "id"], name="item_by_owner"),)


class ItemSerializer(serializers.ModelSerializer):
    class Meta:
        model = Item
        fields = (
            "id", "owner", "name", "description", "sku", "price", "currency", "quantity", "tags",
            "created_at", "updated_at",
        )  # fmt: skip


class ItemViewSet(viewsets.ReadOnlyModelViewSet):
    serializer_class = ItemSerializer

    def get_queryset(self):
        return Item.objects.filter(owner_id=self.request.user.pk).order_by("-created_at", "-id")


router = routers.DefaultRouter(trailing_slash=False)
router.register("items", ItemViewSet, basename="item")
urlpatterns = [
    path("login", TokenObtainPairView.as_view()),
    path("refresh", TokenRefreshView.as_view()),
    path("", include(router.urls)),
]
application = get_wsgi_application()


def fill():
    call_command("migrate", verbosity=0)
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA journal_mode = WAL")
    with connection.schema_editor() as editor:
        editor.create_model(Item)
    password = make_password(PASSWORD)
    with transaction.atomic():
        for number, name in enumerate(user_names(int(os.environ["BENCH_USERS"]))):
            user = User.objects.create(username=name, password=password)
            rows = rows_of(number, int(os.environ["BENCH_ITEMS"]), user.pk)
            Item.objects.bulk_create(Item(**row) for row in rows)


if __name__ == "__main__":
    fill()
